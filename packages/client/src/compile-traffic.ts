import {
  compileFault,
  effectiveEndpointAffinity,
  effectiveMirror,
  effectiveSessionAffinity,
  type FaultPolicy,
  type MirrorTarget,
  type RouteRule,
  type ServiceKey,
  type WeightedDestination,
} from "@tulle/policy";
import type { ClientParts } from "./chain.ts";
import type { EndpointSet } from "./endpoints/endpoint-set.ts";
import { compileCallHash } from "./hashing/hash-call.ts";
import { xxh64 } from "./hashing/xxh64.ts";
import { injectFault } from "./layers/inject-fault.ts";
import { mirrorCall, type ReadyMirror } from "./layers/mirror-call.ts";
import { observeCall } from "./layers/observe-call.ts";
import { destinationName } from "./ledger.ts";
import { EndpointSessions } from "./routing/endpoint-session.ts";
import { regexEngine } from "./routing/regex-engine.ts";
import { Sessions } from "./routing/session.ts";
import type { ReadyDestination, SplitParts } from "./routing/split-traffic.ts";
import { chain, type Layer } from "./send.ts";

/** How a rule draws its split otherwise than by chance. */
export const compileDraw = (
  rule: RouteRule | undefined,
  called: ServiceKey,
  ready: ReadonlyMap<WeightedDestination, ReadyDestination>,
  { clock, hashSource }: ClientParts,
): Pick<SplitParts, "hash" | "sessions"> => {
  const { sticky, sessionAffinity } = rule ?? {};
  if (sticky === undefined && sessionAffinity === undefined) return { hash: undefined, sessions: undefined };
  // Rules of one service draw a key alike, and each service for itself: who meets one canary does not meet all of them.
  const seed = xxh64(called);
  const names = new Map(
    [...ready.values()].map((each) => [destinationName(each.plan.destination, each.plan.subset), each]),
  );
  return {
    hash: sticky && compileCallHash(sticky, hashSource, seed),
    sessions: sessionAffinity && new Sessions(effectiveSessionAffinity(sessionAffinity), names, seed, clock),
  };
};

/** How the sessions of a rule stay with the endpoints of one destination; `undefined`: they do not. */
export const compileEndpointSessions = (
  rule: RouteRule | undefined,
  called: ServiceKey,
  endpoints: EndpointSet,
  labels: Readonly<Record<string, string>> | undefined,
): EndpointSessions | undefined => {
  const affinity = rule?.sessionAffinity && effectiveEndpointAffinity(rule.sessionAffinity);
  return affinity && new EndpointSessions(affinity, xxh64(called), endpoints, labels);
};

/** @param rule unique in the client. @throws what a pattern throws; `checkPolicies` refuses such ones before. */
export const compileFaultStep = (fault: FaultPolicy, rule: string, parts: ClientParts): Layer =>
  injectFault(compileFault(fault, regexEngine), { ...parts, rule });

/** A mirror's target with what sends there. */
export interface MirrorDestination {
  readonly written: MirrorTarget;
  readonly key: ServiceKey;
  /** `undefined` while this member does not know the service. */
  readonly ready: ReadyDestination | undefined;
}

/** Copies go through their destination's own chain, each under a span of its own. */
export const compileMirrorStep = (targets: readonly MirrorDestination[], parts: ClientParts): Layer => {
  const { telemetry, source, clock } = parts;
  const observe = observeCall(telemetry, source, clock);
  const mirrors = targets.map(
    ({ written, key, ready }): ReadyMirror => ({
      ...effectiveMirror(written),
      name: destinationName(key, written.subset),
      service: key,
      ready: ready && { plan: ready.plan, send: chain([observe], ready.send) },
    }),
  );
  return mirrorCall(mirrors, parts);
};
