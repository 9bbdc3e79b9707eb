import { compileStringMatch, type RegexEngine, type StringMatch } from "./string-match.ts";

/**
 * Compiles the comparison of an authority, which is without case. What is compared as a whole or by its end is compared
 * without the port, unless it names one: callers write the port of a service or leave it out, and mean the same.
 */
export const compileAuthorityMatch = (match: StringMatch, engine: RegexEngine): ((authority: string) => boolean) => {
  const fits = compileStringMatch(inLowerCase(match), engine);
  const written = "exact" in match ? match.exact : "suffix" in match ? match.suffix : undefined;
  const asSent = written === undefined || port.test(written);
  return asSent
    ? (authority) => fits(authority.toLowerCase())
    : (authority) => fits(authority.toLowerCase().replace(port, ""));
};

const port = /:\d+$/;

const inLowerCase = (match: StringMatch): StringMatch => {
  if ("exact" in match) return { ...match, exact: match.exact.toLowerCase() };
  if ("prefix" in match) return { ...match, prefix: match.prefix.toLowerCase() };
  if ("suffix" in match) return { ...match, suffix: match.suffix.toLowerCase() };
  return match;
};
