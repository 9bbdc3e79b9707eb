import type { Balanced } from "./picker.ts";

/** The candidates that a call was not sent to before; all of them when no other is left. */
export const withoutTried = <C extends Balanced>(
  candidates: readonly C[],
  tried: ReadonlySet<string> | undefined,
): readonly C[] => {
  if (tried === undefined || tried.size === 0) return candidates;
  const fresh = candidates.filter((candidate) => !tried.has(candidate.endpoint.id));
  return fresh.length > 0 ? fresh : candidates;
};
