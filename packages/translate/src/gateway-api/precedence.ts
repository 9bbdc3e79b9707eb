import type { SourceDocument } from "../source-document.ts";

/**
 * What decides which of several matches that fit a call holds: numbers that are compared one after the other, of which the
 * greater goes first. Only matches of one kind of route are compared.
 */
export type Precedence = readonly number[];

/** A rule's match with where it stands. */
export interface Placed {
  readonly precedence: Precedence;
  readonly document: SourceDocument;
  /** The rule's place in its document, and the match's in its rule. */
  readonly rule: number;
  readonly place: number;
}

/**
 * The order of matches: by their precedence; then the older document, by its namespace and name; then the order in which they
 * are written (Gateway API, HTTPRouteRule and GRPCRouteRule).
 */
export const byPrecedence = (a: Placed, b: Placed): number => {
  const ranks = Math.max(a.precedence.length, b.precedence.length);
  for (let at = 0; at < ranks; at++) {
    const order = (b.precedence[at] ?? 0) - (a.precedence[at] ?? 0);
    if (order !== 0) return order;
  }
  return byAgeAndName(a.document, b.document) || a.rule - b.rule || a.place - b.place;
};

/** Oldest first, then by `namespace/name`: of documents that want the same, the Gateway API lets the first of this order win. */
export const byAgeAndName = (a: SourceDocument, b: SourceDocument): number => {
  const age = (a.createdAtMs ?? 0) - (b.createdAtMs ?? 0);
  if (age !== 0) return age;
  const [left, right] = [`${a.namespace}/${a.name}`, `${b.namespace}/${b.name}`];
  return left < right ? -1 : left > right ? 1 : 0;
};
