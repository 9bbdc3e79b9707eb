import type { EffectiveJwtRule } from "@tulle/policy";
import { claimAt } from "./token-claims.ts";

/** A header for the handler: its name in lower case and its value. */
export type ClaimHeader = readonly [name: string, value: string];

/** The headers by which a rule tells the handler of a proven token. */
export const claimHeadersOf = (
  rule: EffectiveJwtRule,
  claims: Readonly<Record<string, unknown>>,
  payloadSegment: string,
): readonly ClaimHeader[] => [
  ...(rule.payloadHeader === undefined ? [] : [[rule.payloadHeader, payloadSegment] as const]),
  ...rule.claimHeaders.flatMap(({ header, claim }) => {
    const value = headerValueOf(claimAt(claims, claim));
    return value === undefined ? [] : [[header, value] as const];
  }),
];

/** A claim as a header says it; `undefined` for lists, objects, null and what no header can hold (Istio). */
const headerValueOf = (claim: unknown): string | undefined => {
  if (typeof claim === "number" || typeof claim === "boolean") return String(claim);
  // A line break would begin a header of its own further on; an empty text says nothing.
  if (typeof claim !== "string" || claim === "" || !/^[\t\x20-\x7e\x80-\u{10ffff}]*$/u.test(claim)) return undefined;
  // Node.js shows the bytes of a header one character each.
  return Buffer.from(claim, "utf8").toString("latin1");
};

/** The headers that only rules may say, by whichever of them. */
export const namesOfClaimHeaders = (rules: readonly EffectiveJwtRule[]): ReadonlySet<string> =>
  new Set(
    rules.flatMap(({ payloadHeader, claimHeaders }) => [
      ...(payloadHeader === undefined ? [] : [payloadHeader]),
      ...claimHeaders.map(({ header }) => header),
    ]),
  );
