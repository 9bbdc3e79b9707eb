import { endOf, lowerCaseTemplate, parsePathTemplate, type TemplatePart } from "./path-template.ts";
import type { PathMatch } from "./string-match.ts";

/** Where a comparison of a path stands in a {@link PathIndex}. */
export interface PathPlace {
  /** The beginning that a path must have: fixed text and single segments. */
  readonly way: readonly TemplatePart[];
  /** What may follow: nothing, nothing or a slash with more, anything. */
  readonly follow: "end" | "border" | "anything";
  /** Compared in lower case. */
  readonly ignoreCase: boolean;
  /** The place says less than the comparison, which must be asked as well. */
  readonly partial: boolean;
}

const anywhere: PathPlace = { way: [], follow: "anything", ignoreCase: false, partial: true };

/** Where a comparison belongs. An index knows nothing of what is not, so an inverted one stands at the root. */
export const placeOf = (match: PathMatch | undefined, ignoreCase: boolean): PathPlace => {
  if (match === undefined) return { ...anywhere, partial: false };
  if (match.invert === true) return anywhere;
  if ("regex" in match) return { ...anywhere, way: textWay(beginningOf(match.regex)) };
  const lower = (text: string): string => (ignoreCase ? text.toLowerCase() : text);
  if ("exact" in match) return { way: textWay(lower(match.exact)), follow: "end", ignoreCase, partial: false };
  if ("prefix" in match) {
    return { way: textWay(stemOf(lower(match.prefix))), follow: "border", ignoreCase, partial: false };
  }
  if ("startsWith" in match) {
    return { way: textWay(lower(match.startsWith)), follow: "anything", ignoreCase, partial: false };
  }
  const parts = parsePathTemplate(ignoreCase ? lowerCaseTemplate(match.template) : match.template);
  if ("wrong" in parts) throw new RangeError(`"${match.template}" is not a template: ${parts.wrong}`);
  const last = parts.at(-1);
  if (last?.kind !== "rest") return { way: parts, follow: "end", ignoreCase, partial: false };
  return { way: parts.slice(0, -1), follow: "anything", ignoreCase, partial: last.after !== "" };
};

/** A prefix without its slash, which means nothing at the end (Gateway API). */
export const stemOf = (prefix: string): string => (prefix.endsWith("/") ? prefix.slice(0, -1) : prefix);

const textWay = (text: string): readonly TemplatePart[] => (text === "" ? [] : [{ kind: "text", text }]);

/** The text with which everything begins that a pattern matches: `/reviews/` of `/reviews/\d+`. Empty where in doubt. */
export const beginningOf = (pattern: string): string => {
  if (pattern.includes("|")) return "";
  const body = pattern.startsWith("^") ? pattern.slice(1) : pattern;
  const text = /^[A-Za-z0-9/_-]*/.exec(body)?.[0] ?? "";
  // A quantifier behind it is about its last character, which may then be missing.
  return /^[?*+{]/.test(body.slice(text.length)) ? text.slice(0, -1) : text;
};

/** Lists of entries, in the order of their numbers, which a path may fit. Filled anew for each path, without garbage. */
export class Candidates<Entry extends { readonly order: number }> {
  readonly #lists: (readonly Entry[])[] = [];
  readonly #next: number[] = [];
  #count = 0;

  clear(): void {
    this.#count = 0;
  }

  add(list: readonly Entry[]): void {
    if (list.length === 0) return;
    this.#lists[this.#count] = list;
    this.#next[this.#count] = 0;
    this.#count++;
  }

  /** The entry with the lowest number among those not yet given. */
  next(): Entry | undefined {
    let least: Entry | undefined;
    let from = -1;
    for (let at = 0; at < this.#count; at++) {
      const entry = this.#lists[at]?.[this.#next[at] ?? 0];
      if (entry !== undefined && (least === undefined || entry.order < least.order)) {
        least = entry;
        from = at;
      }
    }
    if (from >= 0) this.#next[from] = (this.#next[from] ?? 0) + 1;
    return least;
  }
}

/**
 * Entries by the path that they are for: a radix tree over the text of paths, in which a single segment of a template is a
 * branch of its own. A path meets each node at most once, whatever the templates, and nothing is made on the way.
 */
export class PathIndex<Entry extends { readonly order: number }> {
  readonly #asSent = new Node<Entry>("");
  readonly #lowerCase = new Node<Entry>("");
  #ignoresCase = false;

  /** Entries are added in the order of their numbers. */
  add({ way, follow, ignoreCase }: PathPlace, entry: Entry): void {
    let node = ignoreCase ? this.#lowerCase : this.#asSent;
    this.#ignoresCase ||= ignoreCase;
    for (const part of way) node = part.kind === "text" ? node.withText(part.text) : node.withSegment(part);
    node[follow].push(entry);
  }

  /** Gathers all entries whose place a path fits. */
  gather(path: string, into: Candidates<Entry>): void {
    gatherFrom(this.#asSent, path, 0, into);
    if (this.#ignoresCase) gatherFrom(this.#lowerCase, path.toLowerCase(), 0, into);
  }
}

class Node<Entry> {
  /** The text between the parent and here. */
  text: string;
  end: Entry[] = [];
  border: Entry[] = [];
  anything: Entry[] = [];
  /** By the first character of their text, in no order. */
  children: Node<Entry>[] = [];
  codes: number[] = [];
  segments: { readonly part: TemplatePart; readonly node: Node<Entry> }[] = [];

  constructor(text: string) {
    this.text = text;
  }

  withText(text: string): Node<Entry> {
    if (text === "") return this;
    const at = this.codes.indexOf(text.charCodeAt(0));
    const child = this.children[at];
    if (child === undefined) return this.#adopt(new Node(text));
    const common = commonLength(child.text, text);
    if (common < child.text.length) {
      const between = new Node<Entry>(child.text.slice(0, common));
      child.text = child.text.slice(common);
      between.#adopt(child);
      this.children[at] = between;
      return between.withText(text.slice(common));
    }
    return child.withText(text.slice(common));
  }

  withSegment(part: Exclude<TemplatePart, { kind: "text" }>): Node<Entry> {
    const known = this.segments.find((each) => each.part.kind !== "text" && each.part.after === part.after);
    if (known !== undefined) return known.node;
    const node = new Node<Entry>("");
    this.segments.push({ part, node });
    return node;
  }

  #adopt(child: Node<Entry>): Node<Entry> {
    this.codes.push(child.text.charCodeAt(0));
    this.children.push(child);
    return child;
  }
}

const commonLength = (a: string, b: string): number => {
  let at = 0;
  while (at < a.length && at < b.length && a.charCodeAt(at) === b.charCodeAt(at)) at++;
  return at;
};

const SLASH = 0x2f;

const gatherFrom = <Entry extends { readonly order: number }>(
  start: Node<Entry>,
  path: string,
  from: number,
  into: Candidates<Entry>,
): void => {
  let node: Node<Entry> | undefined = start;
  let at = from;
  while (node !== undefined) {
    const atEnd = at === path.length;
    into.add(node.anything);
    if (atEnd) into.add(node.end);
    if (atEnd || path.charCodeAt(at) === SLASH) into.add(node.border);
    for (const { part, node: behind } of node.segments) {
      const end = endOf(part, path, at);
      if (end >= 0) gatherFrom(behind, path, end, into);
    }
    if (atEnd) return;
    const place = node.codes.indexOf(path.charCodeAt(at));
    // An array asked for -1 looks for a property of that name, which is slow.
    const child: Node<Entry> | undefined = place < 0 ? undefined : node.children[place];
    if (child === undefined || !path.startsWith(child.text, at)) return;
    node = child;
    at += child.text.length;
  }
};
