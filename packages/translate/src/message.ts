/**
 * What becomes of a field:
 *
 * - `to`: translated, and to what;
 * - `refused`: its document is refused, and why;
 * - `noMeaning`: it has no meaning without a proxy, and why; told, and an error where the user is strict;
 * - `ignored`: it says nothing about policy, and why.
 */
export type FieldFate =
  | { readonly to: string }
  | { readonly refused: string }
  | { readonly noMeaning: string }
  | { readonly ignored: string };

/**
 * A message of another origin: every field that it may have, and what becomes of each. The coverage page of the
 * documentation is made of these tables.
 */
export interface Message<F extends string = string> {
  /** As its origin calls it: `HTTPRoute`, `HTTPRouteRule`. */
  readonly name: string;
  readonly fields: Readonly<Record<F, FieldFate>>;
  /** What becomes of every other field: refused as unknown, or ignored, where the message is about much that is no policy. */
  readonly others: "refused" | "ignored";
}

/** Names the fields of a message, so that a reader can ask for none that is not there. */
export const message = <const F extends string>(
  name: string,
  fields: Readonly<Record<F, FieldFate>>,
  others: "refused" | "ignored" = "refused",
): Message<F> => ({ name, fields, others });

/** Translated to a field of a policy. */
export const to = (field: string): FieldFate => ({ to: field });

/** The document is refused. */
export const refused = (reason: string): FieldFate => ({ refused: reason });

/** Has no meaning without a proxy. */
export const noMeaning = (reason: string): FieldFate => ({ noMeaning: reason });

/** Says nothing about policy. */
export const ignored = (reason: string): FieldFate => ({ ignored: reason });
