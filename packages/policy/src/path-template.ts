/**
 * A path template in its parts. `/files/{owner}/{path=**}` is the text `/files/`, one segment, the text `/`, and the rest.
 * Decided without looking back: an operator has its segment to itself but for fixed text beside it.
 */
export type TemplatePart =
  | { readonly kind: "text"; readonly text: string }
  /** One or more characters up to the next slash, of which the last are `after`. */
  | { readonly kind: "segment"; readonly name: string | undefined; readonly after: string }
  /** Everything to the end, also nothing, of which the last characters are `after`. */
  | { readonly kind: "rest"; readonly name: string | undefined; readonly after: string };

/** Longest template, characters. */
export const MAX_TEMPLATE_LENGTH = 1_024;

/**
 * Reads a template:
 *
 * - `*`, `{*}`, `{name}` and `{name=*}` stand for one segment or a part of one: at least one character, no slash;
 * - `**`, `{**}` and `{name=**}` stand for the rest of the path, slashes included, also for nothing; only in the last segment;
 * - everything else stands for itself. A segment holds one operator at most, with text before and behind it if wanted:
 *   `/videos/{file}.m4s`. Names are unique.
 *
 * @returns the parts, or what is wrong with it.
 */
export const parsePathTemplate = (template: string): readonly TemplatePart[] | { readonly wrong: string } => {
  if (!template.startsWith("/")) return { wrong: 'begin it with "/"' };
  if (template.length > MAX_TEMPLATE_LENGTH) return { wrong: `it is longer than ${MAX_TEMPLATE_LENGTH} characters` };
  const parts: TemplatePart[] = [];
  const names = new Set<string>();
  const segments = template.slice(1).split("/");
  let text = "";
  for (const [at, segment] of segments.entries()) {
    text += "/";
    const operators = [...segment.matchAll(operatorText)];
    const [operator, second] = operators;
    if (operator === undefined) {
      const stray = wrongText(segment);
      if (stray !== undefined) return { wrong: stray };
      text += segment;
      continue;
    }
    if (second !== undefined) return { wrong: `"${segment}" holds two operators: a segment can hold one` };
    const [written] = operator;
    const read = operatorOf(written);
    if (typeof read === "string") return { wrong: read };
    const before = segment.slice(0, operator.index);
    const after = segment.slice(operator.index + written.length);
    const stray = wrongText(before) ?? wrongText(after);
    if (stray !== undefined) return { wrong: stray };
    if (read.name !== undefined && names.has(read.name))
      return { wrong: `"${read.name}" is the name of two variables` };
    if (read.name !== undefined) names.add(read.name);
    if (read.kind === "rest" && at < segments.length - 1)
      return { wrong: `"${written}" stands for the rest: let it come last` };
    parts.push({ kind: "text", text: text + before }, { ...read, after });
    text = "";
  }
  if (text !== "") parts.push({ kind: "text", text });
  return parts;
};

/** What is wrong with a template, if anything. */
export const wrongTemplate = (template: string): string | undefined => {
  const read = parsePathTemplate(template);
  return "wrong" in read ? `"${template}" is not a template: ${read.wrong}` : undefined;
};

const operatorText = /\{[^{}]*\}|\*\*|\*/g;

const variable = /^([A-Za-z][A-Za-z0-9_]{0,63})(?:=(\*\*?))?$/;

const operatorOf = (
  written: string,
): { readonly kind: "segment" | "rest"; readonly name: string | undefined } | string => {
  const inside = written.startsWith("{") ? written.slice(1, -1) : written;
  if (inside === "*") return { kind: "segment", name: undefined };
  if (inside === "**") return { kind: "rest", name: undefined };
  const [, name, pattern] = variable.exec(inside) ?? [];
  if (name !== undefined) return { kind: pattern === "**" ? "rest" : "segment", name };
  return `"${written}" is no operator: write {name}, {name=**}, * or **, names of letters, digits and "_"`;
};

const wrongText = (text: string): string | undefined => {
  if (/[{}*]/.test(text)) return `"${text}" holds a brace or a star that belongs to no operator`;
  return /^[!-~]*$/.test(text) && !/[?#]/.test(text)
    ? undefined
    : `"${text}" has characters that a path cannot have: leave out the query, and write the others percent-encoded`;
};

/** Whether a path without its query fits a template. Linear, without garbage. */
export const fitsTemplate = (parts: readonly TemplatePart[], path: string): boolean => {
  let at = 0;
  for (const part of parts) {
    const end = endOf(part, path, at);
    if (end < 0) return false;
    at = end;
  }
  return at === path.length;
};

/** Where a part that begins at `at` ends in the path, or -1 where it does not fit. */
export const endOf = (part: TemplatePart, path: string, at: number): number => {
  if (part.kind === "text") return path.startsWith(part.text, at) ? at + part.text.length : -1;
  const end = part.kind === "rest" ? path.length : segmentEnd(path, at);
  const least = part.kind === "rest" ? 0 : 1;
  const { after } = part;
  return end - at >= after.length + least && path.startsWith(after, end - after.length) ? end : -1;
};

const segmentEnd = (path: string, at: number): number => {
  const slash = path.indexOf("/", at);
  return slash < 0 ? path.length : slash;
};

/**
 * The values that a path gives to the names of a template, as they are written in the path, percent-encoding included.
 * `undefined`: the path does not fit.
 */
export const templateValues = (
  template: string,
  path: string,
  ignoreCase = false,
): Readonly<Record<string, string>> | undefined => {
  const parts = parsePathTemplate(ignoreCase ? lowerCaseTemplate(template) : template);
  if ("wrong" in parts) return undefined;
  const compared = ignoreCase ? path.toLowerCase() : path;
  const values: Record<string, string> = {};
  let at = 0;
  for (const part of parts) {
    const end = endOf(part, compared, at);
    if (end < 0) return undefined;
    if (part.kind !== "text" && part.name !== undefined) values[part.name] = path.slice(at, end - part.after.length);
    at = end;
  }
  return at === path.length ? values : undefined;
};

/** A template whose text is in lower case; the names of its variables stay. */
export const lowerCaseTemplate = (template: string): string =>
  template.replaceAll(/\{[^{}]*\}|[^{]+/g, (piece) => (piece.startsWith("{") ? piece : piece.toLowerCase()));
