import { numberLimits, wrongReference } from "./field-limits.ts";
import { DEFAULT_PERCENT } from "./percent.ts";
import type { Check } from "./policy-check.ts";
import type { PolicyPath } from "./policy-path.ts";

/**
 * Where copies of calls go. A copy is sent and forgotten: its reply is thrown away, and whatever becomes of it, the call
 * itself neither waits for it nor fails by it.
 */
export interface MirrorTarget {
  /** @default the service that was called */
  readonly service?: string;
  /** @default all endpoints of the service */
  readonly subset?: string;
  /** Share of the calls that are copied, 0 to 100, fractions included. @default 100 */
  readonly percent?: number;
  /** Copies of this process to the destination that may be under way at once; beyond, calls are not copied. Range 1 to 65,535. @default 64 */
  readonly maxInFlight?: number;
}

/** Copies to one destination that may be under way at once: 64. */
export const DEFAULT_MIRRORS_IN_FLIGHT = 64;

/** A mirror target with every number filled in. */
export interface EffectiveMirror {
  readonly percent: number;
  readonly maxInFlight: number;
}

export const effectiveMirror = ({ percent, maxInFlight }: MirrorTarget): EffectiveMirror => ({
  percent: percent ?? DEFAULT_PERCENT,
  maxInFlight: maxInFlight ?? DEFAULT_MIRRORS_IN_FLIGHT,
});

/**
 * The authority of a copy: the host with `-shadow` behind it, its port kept (Envoy), so that whoever receives it can tell
 * it from the call. An address in brackets has no name to add to and stays as it is.
 */
export const shadowAuthority = (authority: string): string => {
  if (authority.endsWith("]") || authority.includes("]:")) return authority;
  const colon = authority.lastIndexOf(":");
  return colon < 0 ? `${authority}-shadow` : `${authority.slice(0, colon)}-shadow${authority.slice(colon)}`;
};

/** Reports what makes no sense in a rule's mirrors. */
export const checkMirror = (path: PolicyPath, mirror: readonly MirrorTarget[] | undefined, check: Check): void => {
  check.list(path, mirror, (at, target) => {
    check.text([...at, "service"], target.service, wrongReference);
    check.number([...at, "percent"], target.percent, numberLimits.percent);
    check.number([...at, "maxInFlight"], target.maxInFlight, numberLimits.mirrorsInFlight);
  });
};
