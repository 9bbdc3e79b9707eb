/**
 * The value of a cookie in a flat list of headers; the first of that name counts. Each `cookie` header is read for itself:
 * joined with ",", as other headers are, their values could not be told apart.
 */
export const cookieOf = (headers: readonly string[], name: string): string | undefined => {
  for (let at = 0; at < headers.length; at += 2) {
    const each = headers[at];
    if (each === undefined || each.length !== 6 || each.toLowerCase() !== "cookie") continue;
    const found = valueIn(headers[at + 1] ?? "", name);
    if (found !== undefined) return found;
  }
  return undefined;
};

const valueIn = (cookies: string, name: string): string | undefined => {
  for (const pair of cookies.split(";")) {
    const equals = pair.indexOf("=");
    if (equals < 0 || pair.slice(0, equals).trim() !== name) continue;
    const value = pair.slice(equals + 1).trim();
    return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
  }
  return undefined;
};
