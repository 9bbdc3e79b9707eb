import type { SourceDocument } from "../source-document.ts";
import { byAge } from "../translation-context.ts";

/** What decides which of several matches that fit a call holds (Gateway API, HTTPRouteRule). */
export interface Precedence {
  readonly exact: boolean;
  /** Characters of the path, or of its prefix. */
  readonly pathLength: number;
  readonly method: boolean;
  /** How many headers are matched. */
  readonly headers: number;
  /** How many parameters are matched. */
  readonly query: number;
}

/** A rule's match with where it stands. */
export interface Placed {
  readonly precedence: Precedence;
  readonly document: SourceDocument;
  /** The rule's place in its document, and the match's in its rule. */
  readonly rule: number;
  readonly place: number;
}

/**
 * The order of matches: an exact path, then the longer prefix, a method, more headers, more parameters; then the older
 * document, its name; then the order in which they are written.
 */
export const byPrecedence = (a: Placed, b: Placed): number =>
  Number(b.precedence.exact) - Number(a.precedence.exact) ||
  b.precedence.pathLength - a.precedence.pathLength ||
  Number(b.precedence.method) - Number(a.precedence.method) ||
  b.precedence.headers - a.precedence.headers ||
  b.precedence.query - a.precedence.query ||
  (a.document === b.document ? 0 : byAge(a.document, b.document)) ||
  a.rule - b.rule ||
  a.place - b.place;
