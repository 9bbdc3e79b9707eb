import type { Balancer } from "./balancer-policy.ts";
import { numberLimits } from "./field-limits.ts";
import type { Check } from "./policy-check.ts";

/**
 * Each client calls only so many of a destination's endpoints, its own choice by chance, so that large services need not hold
 * a connection from every client to every endpoint. When endpoints come or go a client exchanges no more than it must.
 */
export interface Subsetting {
  /** Endpoints that a client calls, where there are more; others when none of these can be called. Range 2 to 10,000. */
  readonly size: number;
}

/** Reports what makes no sense in a service's subsetting. */
export const checkSubsetting = (
  subsetting: Subsetting | undefined,
  balancer: Balancer | undefined,
  check: Check,
): void => {
  if (subsetting === undefined) return;
  check.number(["subsetting", "size"], subsetting.size, numberLimits.subsetSize);
  if (balancer?.algorithm === "ring-hash" || balancer?.algorithm === "maglev") {
    check.report(
      ["subsetting"],
      `${balancer.algorithm} sends equal keys of all clients to one endpoint, and clients with subsets know different ones`,
    );
  }
};
