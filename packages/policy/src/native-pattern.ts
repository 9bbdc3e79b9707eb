/** What RE2 calls white space; JavaScript counts more characters to it. */
const SPACES = "\\t\\n\\f\\r ";

/**
 * An RE2 pattern as JavaScript must read it (flag `u`) to match the same texts: where the two read the same signs otherwise,
 * RE2's reading is spelled out. `.` leaves out the line feed alone, `\s` means five characters. `undefined`: it cannot be
 * told so, or not for sure, such as flags. Whether it is a pattern at all is not asked here.
 */
export const nativePattern = (pattern: string): string | undefined => {
  if (/\(\?[^:<P]/.test(pattern)) return undefined;
  let written = "";
  let inClass = false;
  for (let at = 0; at < pattern.length; at++) {
    const sign = pattern.charAt(at);
    if (sign === "\\") {
      const escaped = pattern.slice(at, at + 2);
      at++;
      if (escaped === "\\S" && inClass) return undefined;
      if (escaped === "\\s") written += inClass ? SPACES : `[${SPACES}]`;
      else if (escaped === "\\S") written += `[^${SPACES}]`;
      else written += escaped;
    } else if (sign === "." && !inClass) written += "[^\\n]";
    else {
      if (sign === "[") inClass = true;
      else if (sign === "]") inClass = false;
      written += sign;
    }
  }
  return written;
};
