import { compileValues, type ValueTest } from "./access-value.ts";
import { type PathNormalization, pathInRules } from "./path-normalization.ts";
import { MAX_TEMPLATE_LENGTH } from "./path-template.ts";

/** The operators of a path template in an access rule, as Istio writes them; each has its segment to itself. */
const ONE_SEGMENT = "{*}";
const ANY_SEGMENTS = "{**}";

/** Whether a path of a rule is a template. */
export const isAccessTemplate = (path: string): boolean => path.includes(ONE_SEGMENT) || path.includes(ANY_SEGMENTS);

/** What is wrong with a path that is written as a template, if anything. The rules are Istio's and Envoy's. */
export const wrongAccessTemplate = (path: string): string | undefined => {
  const wrong = (why: string): string => `"${path}" is not a template: ${why}`;
  if (!path.startsWith("/")) return wrong('begin it with "/"');
  if (path.length > MAX_TEMPLATE_LENGTH) return wrong(`it is longer than ${MAX_TEMPLATE_LENGTH} characters`);
  const segments = path.slice(1).split("/");
  let anyBefore = false;
  for (const [at, segment] of segments.entries()) {
    if (segment === ONE_SEGMENT || segment === ANY_SEGMENTS) {
      if (anyBefore) return wrong(`no operator may follow ${ANY_SEGMENTS}`);
      anyBefore = segment === ANY_SEGMENTS;
    } else if (/[{}*]/.test(segment)) {
      return wrong(
        `"${segment}" mixes an operator with text: ${ONE_SEGMENT} and ${ANY_SEGMENTS} are segments of their own`,
      );
    } else if (segment === "" && at < segments.length - 1) return wrong("it has two slashes in a row");
    else if (!/^[!-~]*$/.test(segment) || /[?#]/.test(segment)) {
      return wrong(
        "it has characters that a path cannot have: leave out the query, and write the others percent-encoded",
      );
    }
  }
  return undefined;
};

/**
 * Compiles the paths of a rule, of which any may fit.
 *
 * @param wide what to say of a segment with characters that Envoy's operators know nothing of (`=`, `*`): a rule that refuses
 *   counts it, one that allows does not.
 */
export const compileAccessPaths = (
  paths: readonly string[],
  normalization: PathNormalization,
  wide: boolean,
): ValueTest => {
  const written = paths.map((path) => pathInRules(path, normalization));
  const templates = written.filter(isAccessTemplate).map((path) => compileTemplate(path, wide));
  const plain = written.filter((path) => !isAccessTemplate(path));
  const fits = compileValues(plain);
  if (templates.length === 0) return fits;
  return (path) => {
    if (path === undefined || path === "") return false;
    if (plain.length > 0 && fits(path)) return true;
    for (const template of templates) if (template(path)) return true;
    return false;
  };
};

/** The fixed text with which every path begins that a template fits. */
export const beginningOfTemplate = (template: string): string => template.slice(0, template.indexOf("{"));

/** @throws RangeError for what `wrongAccessTemplate` refuses: what was never checked is never guessed at. */
const compileTemplate = (template: string, wide: boolean): ((path: string) => boolean) => {
  const wrong = wrongAccessTemplate(template);
  if (wrong !== undefined) throw new RangeError(wrong);
  const at = template.indexOf(ANY_SEGMENTS);
  const head = (at < 0 ? template : template.slice(0, at)).slice(1).split("/");
  const tail = at < 0 ? undefined : template.slice(at + ANY_SEGMENTS.length);
  if (tail === undefined) return (path) => endOfHead(head, path, wide) === path.length;
  // The last item is the segment that the operator stands in: empty, and the text before it ends with a slash.
  const segments = head.slice(0, -1);
  return (path) => {
    const end = endOfHead(segments, path, wide);
    // A slash must follow what comes before the operator; the root's own stands for it where nothing comes before.
    const from = segments.length === 0 ? 1 : end + 1;
    if (end < 0 || path.charCodeAt(from - 1) !== SLASH) return false;
    const until = path.length - tail.length;
    if (until < from || !path.endsWith(tail)) return false;
    return wide || isPlain(path, from, until, true);
  };
};

const SLASH = 0x2f;

/** Where the segments of a template end in a path, or -1 where they do not fit. */
const endOfHead = (segments: readonly string[], path: string, wide: boolean): number => {
  let at = 0;
  for (const segment of segments) {
    if (path.charCodeAt(at) !== SLASH) return -1;
    const from = at + 1;
    const slash = path.indexOf("/", from);
    const end = slash < 0 ? path.length : slash;
    if (segment === ONE_SEGMENT) {
      if (end === from || !(wide || isPlain(path, from, end, false))) return -1;
    } else if (end - from !== segment.length || !path.startsWith(segment, from)) return -1;
    at = end;
  }
  return at;
};

/** The characters that Envoy's operators stand for (RFC 3986's pchar without `*` and `=`). */
const plainCodes = new Uint8Array(128);
for (const character of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%!$&'()+,;:@") {
  plainCodes[character.charCodeAt(0)] = 1;
}

const isPlain = (path: string, from: number, until: number, slashes: boolean): boolean => {
  for (let at = from; at < until; at++) {
    const code = path.charCodeAt(at);
    if (plainCodes[code] !== 1 && !(slashes && code === SLASH)) return false;
  }
  return true;
};
