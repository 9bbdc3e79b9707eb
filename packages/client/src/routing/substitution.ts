import type { RegexSubstitution, SubstitutionEngine } from "@tulle/policy";
import { loadRe2, MAX_MATCHED_CHARACTERS } from "./regex-engine.ts";

/** A path never becomes longer than this by a substitution, characters. */
export const MAX_SUBSTITUTED_CHARACTERS = 16_384;

/**
 * Compiles substitutions, always on re2js: what is linear when it must match the whole text, as the config-server proves, need
 * not be where it is searched for.
 *
 * @throws Error when re2js is not installed; the message says so.
 * @throws SyntaxError when the pattern is not RE2. @throws RangeError when a group is named that it does not have.
 */
export const substitutionEngine: SubstitutionEngine = ({ pattern, substitution }: RegexSubstitution) => {
  const compiled = loadRe2().RE2JS.compile(pattern);
  const parts = partsOf(substitution);
  const groups = compiled.groupCount();
  for (const part of parts) {
    if (typeof part === "number" && part > groups) {
      throw new RangeError(`the substitution "${substitution}" names group ${part}, but "${pattern}" has ${groups}`);
    }
  }
  return (text) => {
    if (text.length > MAX_MATCHED_CHARACTERS) return text;
    const found = compiled.matcher(text);
    let made = "";
    let end = 0;
    while (found.find()) {
      made += text.slice(end, found.start());
      for (const part of parts) made += typeof part === "string" ? part : (found.group(part) ?? "");
      end = found.end();
      if (made.length > MAX_SUBSTITUTED_CHARACTERS) return text;
    }
    if (end === 0 && made === "") return text;
    made += text.slice(end);
    return made.length > MAX_SUBSTITUTED_CHARACTERS ? text : made;
  };
};

/** Texts and numbers of groups. */
const partsOf = (substitution: string): readonly (string | number)[] =>
  substitution
    .split(/\\([0-9\\])/)
    .map((part, at) => (at % 2 === 0 ? part : part === "\\" ? part : Number(part)))
    .filter((part) => part !== "");
