/**
 * The one reading of a path that both sides of the mesh use when a rule looks at it, so that nobody slips past a rule by
 * writing a path in another way. In this order:
 *
 * 1. the query, and a fragment, are cut off;
 * 2. escapes of unreserved characters (letters, digits, `-`, `.`, `_`, `~`) are decoded, other escapes are written in
 *    upper case, bytes above 0x7F are escaped, and `\` becomes `/`;
 * 3. `.` and `..` segments are resolved (RFC 3986, 5.2.4), never above the root;
 * 4. slashes in a row become one.
 *
 * It equals Istio's path normalisation `MERGE_SLASHES`, which is one step above Istio's default `BASE`, and is stricter
 * in what it refuses: an escape that is none (`%`, `%zz`), a control character or space, an escaped NUL, and a `.` or `..`
 * that stands beside an escaped slash or backslash (`/a/..%2fb`), which some frameworks would resolve after the rules
 * were asked. An escaped slash elsewhere stays as it is, for applications carry names that hold slashes that way.
 *
 * @param target origin-form of a request target (`/path?query`), or `*`.
 * @returns the path, or `undefined` when it is malformed: then no rule can be trusted with it and the call is refused.
 */
export const normalizePath = (target: string): string | undefined => {
  const end = normalUntil(target);
  if (end > 0 && isPathEnd(target, end)) return target.slice(0, end);
  const path = target.slice(0, pathEnd(target, end));
  if (path === "*") return path;
  if (!path.startsWith("/") && !path.startsWith("\\")) return undefined;
  const escaped = normalizeEscapes(path);
  if (escaped === undefined || hiddenDotSegment.test(escaped)) return undefined;
  return resolveDotSegments(escaped).replaceAll(/\/{2,}/g, "/");
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

/**
 * How far a target is a path that needs no work: nearly always to its end, which one pass sees. A dot at the start of a
 * segment is left to the long way.
 */
const normalUntil = (target: string): number => {
  if (target.charCodeAt(0) !== SLASH) return 0;
  let previous = 0;
  for (let at = 0; at < target.length; at++) {
    const code = target.charCodeAt(at);
    if (code <= LAST_CONTROL || code >= DELETE || code === PERCENT || code === BACKSLASH) return at;
    if (code === QUESTION_MARK || code === HASH) return at;
    if (previous === SLASH && (code === SLASH || code === DOT)) return at;
    previous = code;
  }
  return target.length;
};

const unreserved = /^[A-Za-z0-9._~-]$/;

const normalizeEscapes = (path: string): string | undefined => {
  let result = "";
  for (let at = 0; at < path.length; at++) {
    const code = path.charCodeAt(at);
    if (code <= LAST_CONTROL || code === DELETE || code > LAST_BYTE) return undefined;
    if (code === PERCENT) {
      const digits = path.slice(at + 1, at + 3);
      if (!/^[0-9A-Fa-f]{2}$/.test(digits) || digits === "00") return undefined;
      const meant = String.fromCharCode(Number.parseInt(digits, 16));
      result += unreserved.test(meant) ? meant : `%${digits.toUpperCase()}`;
      at += 2;
    } else if (code === BACKSLASH) result += "/";
    else if (code > DELETE) result += `%${code.toString(16).toUpperCase()}`;
    else result += path[at];
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
