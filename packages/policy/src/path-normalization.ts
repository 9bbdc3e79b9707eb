/**
 * How a path is brought into the one form that rules compare and the application sees. Istio's modes, and `strict`:
 *
 * - `none`: as it came, without query and fragment;
 * - `base`: escapes of unreserved characters are decoded, characters that a path cannot have are escaped, `\` becomes `/`, and
 *   `.` and `..` segments are resolved;
 * - `merge-slashes`: `base`, and slashes in a row become one;
 * - `decode-and-merge-slashes`: escaped slashes and backslashes are decoded first, then as `merge-slashes`;
 * - `strict`: `merge-slashes`, escapes in upper case, and a `.` or `..` segment beside an escaped slash or backslash
 *   (`/a/..%2fb`), which some frameworks would resolve after the rules were asked, is refused.
 */
export type PathNormalization = "none" | "base" | "merge-slashes" | "decode-and-merge-slashes" | "strict";

/** What a mesh does that says nothing. */
export const DEFAULT_PATH_NORMALIZATION: PathNormalization = "strict";

/** All ways to say it. */
export const pathNormalizations: readonly PathNormalization[] = [
  "none",
  "base",
  "merge-slashes",
  "decode-and-merge-slashes",
  "strict",
];

/**
 * The one reading of a path that access rules are given, and handlers after them, so that nobody slips past a rule by writing a
 * path in another way. Callers' route rules look at paths as the caller sends them. In this order:
 *
 * 1. the query, and a fragment, are cut off;
 * 2. with `decode-and-merge-slashes`, `%2F` becomes `/` and `%5C` becomes `\`;
 * 3. escapes of unreserved characters (letters, digits, `-`, `.`, `_`, `~`) are decoded, bytes above 0x7F and the characters
 *    `"`, `<`, `>`, `^`, `` ` ``, `{`, `|`, `}` are escaped, and `\` becomes `/`;
 * 4. `.` and `..` segments are resolved (RFC 3986, 5.2.4), never above the root;
 * 5. slashes in a row become one, but for `base`.
 *
 * Refused in every mode but `none`: an escape that is none (`%`, `%zz`) and an escaped NUL. Refused in every mode: control
 * characters, spaces, and what does not begin with a slash. An escaped slash elsewhere stays as it is, for applications carry
 * names that hold slashes that way.
 *
 * @param target origin-form of a request target (`/path?query`), or `*`.
 * @returns the path that the application is given, or `undefined` when it is malformed: then no rule can be trusted with it.
 */
export const normalizePath = (
  target: string,
  mode: PathNormalization = DEFAULT_PATH_NORMALIZATION,
): string | undefined => {
  const end = normalUntil(target);
  if (end > 0 && isPathEnd(target, end)) return end === target.length ? target : target.slice(0, end);
  const path = target.slice(0, pathEnd(target, end));
  if (path === "*") return path;
  if (mode === "none") return path.startsWith("/") && !hasControl(path) ? path : undefined;
  if (!path.startsWith("/") && !path.startsWith("\\")) return undefined;
  const decoded = mode === "decode-and-merge-slashes" ? decodeSlashes(path) : path;
  const escaped = normalizeEscapes(decoded, mode === "strict");
  if (escaped === undefined || (mode === "strict" && hiddenDotSegment.test(escaped))) return undefined;
  const resolved = resolveDotSegments(escaped);
  return mode === "base" ? resolved : resolved.replaceAll(/\/{2,}/g, "/");
};

/**
 * A normalised path as rules compare it: with its escapes in upper case, for `%2f` and `%2F` are the same. With `none` as it is.
 */
export const pathForRules = (path: string, mode: PathNormalization = DEFAULT_PATH_NORMALIZATION): string =>
  mode === "none" || mode === "strict" || !path.includes("%") ? path : upperCaseEscapes(path);

/**
 * A path, or a part of one, as a rule names it, in the spelling that a request's has after it was normalised: `/café` means
 * `/caf%C3%A9` and `/%61dmin` means `/admin`. Wildcards and the braces of templates stay.
 */
export const pathInRules = (text: string, mode: PathNormalization = DEFAULT_PATH_NORMALIZATION): string => {
  if (mode === "none") return text;
  const bytes = text.replaceAll(/[^\0-\x7f]+/g, (found) => encodeURIComponent(found.toWellFormed()));
  return bytes
    .replaceAll(/%[0-9A-Fa-f]{2}/g, (found) => {
      const meant = String.fromCharCode(Number.parseInt(found.slice(1), 16));
      return unreserved.test(meant) ? meant : found.toUpperCase();
    })
    .replaceAll(/["<>^`|]/g, escapeOf);
};

/** The rest of a target: the query with its question mark, without a fragment. */
export const queryOf = (target: string): string => {
  const hash = target.indexOf("#");
  const whole = hash < 0 ? target : target.slice(0, hash);
  const mark = whole.indexOf("?");
  return mark < 0 ? "" : whole.slice(mark);
};

const isPathEnd = (target: string, at: number): boolean => {
  const code = target.charCodeAt(at);
  return at === target.length || code === QUESTION_MARK || code === HASH;
};

const pathEnd = (target: string, from: number): number => {
  let at = from;
  while (!isPathEnd(target, at)) at++;
  return at;
};

const QUESTION_MARK = 0x3f;
const HASH = 0x23;
const SLASH = 0x2f;
const BACKSLASH = 0x5c;
const PERCENT = 0x25;
const DOT = 0x2e;
const LAST_CONTROL = 0x20;
const DELETE = 0x7f;
const LAST_BYTE = 0xff;

/** Characters that are normal as they stand, but for slashes and dots, which depend on what is before them. */
const normal = new Uint8Array(256);
for (let code = LAST_CONTROL + 1; code < DELETE; code++) normal[code] = 1;
for (const character of '%\\?#"<>^`{|}') normal[character.charCodeAt(0)] = 0;

/**
 * How far a target is a path that needs no work: nearly always to its end, which one pass sees. A dot at the start of a
 * segment is left to the long way.
 */
const normalUntil = (target: string): number => {
  if (target.charCodeAt(0) !== SLASH) return 0;
  let previous = 0;
  for (let at = 0; at < target.length; at++) {
    const code = target.charCodeAt(at);
    if (normal[code] !== 1) return at;
    if (previous === SLASH && (code === SLASH || code === DOT)) return at;
    previous = code;
  }
  return target.length;
};

const hasControl = (path: string): boolean => {
  for (let at = 0; at < path.length; at++) {
    const code = path.charCodeAt(at);
    if (code <= LAST_CONTROL || code === DELETE || code > LAST_BYTE) return true;
  }
  return false;
};

const decodeSlashes = (path: string): string => path.replaceAll(/%2f/gi, "/").replaceAll(/%5c/gi, "\\");

const unreserved = /^[A-Za-z0-9._~-]$/;

const escapeOf = (character: string): string => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;

const upperCaseEscapes = (path: string): string => path.replaceAll(/%[0-9a-f]{2}/gi, (found) => found.toUpperCase());

const normalizeEscapes = (path: string, upperCase: boolean): string | undefined => {
  let result = "";
  for (let at = 0; at < path.length; at++) {
    const code = path.charCodeAt(at);
    if (code <= LAST_CONTROL || code === DELETE || code > LAST_BYTE) return undefined;
    if (code === PERCENT) {
      const digits = path.slice(at + 1, at + 3);
      if (!/^[0-9A-Fa-f]{2}$/.test(digits) || digits === "00") return undefined;
      const meant = String.fromCharCode(Number.parseInt(digits, 16));
      result += unreserved.test(meant) ? meant : `%${upperCase ? digits.toUpperCase() : digits}`;
      at += 2;
    } else if (code === BACKSLASH) result += "/";
    else if (normal[code] === 1) result += path[at];
    else result += escapeOf(path.charAt(at));
  }
  return result;
};

/** `.` or `..` between separators of which at least one is an escaped slash or backslash. */
const hiddenDotSegment = /(?:%2F|%5C)\.{1,2}(?:\/|%2F|%5C|$)|\/\.{1,2}(?:%2F|%5C)/;

const resolveDotSegments = (path: string): string => {
  const kept: string[] = [];
  const segments = path.slice(1).split("/");
  for (const [at, segment] of segments.entries()) {
    const isDots = segment === "." || segment === "..";
    if (segment === "..") kept.pop();
    if (!isDots) kept.push(segment);
    // "/a/.." and "/a/." name a folder, so the slash at their end stays.
    else if (at === segments.length - 1) kept.push("");
  }
  return `/${kept.join("/")}`;
};
