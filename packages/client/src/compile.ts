import {
  compileFault,
  compileSplit,
  DEFAULT_MESH,
  DEFAULT_PANIC_THRESHOLD,
  DEFAULT_TIMEOUT_MS,
  type EffectiveHedge,
  type EffectiveRetry,
  type EffectiveTimeouts,
  effectiveBalancer,
  effectiveCircuitBreaker,
  effectiveConnectionPool,
  effectiveHedge,
  effectiveMirror,
  effectiveOutlierDetection,
  effectiveRetry,
  effectiveRetryBudget,
  effectiveSessionAffinity,
  effectiveTimeouts,
  formatDuration,
  type MeshPolicy,
  type MirrorTarget,
  namespaceOf,
  type OutboundSnapshot,
  type RouteMatcher,
  type RoutePolicy,
  type RouteRule,
  type RouteViewer,
  referencedService,
  type ServiceKey,
  type ServiceSnapshot,
  servicePortOf,
  splitServiceKey,
  type WeightedDestination,
  WHOLE_SERVICE,
} from "@tulle/policy";
import type { Clock } from "@tulle/time";
import type { Circuit } from "./breaker/circuit.ts";
import {
  assembleDestination,
  assembleRule,
  type ClientParts,
  type DestinationChain,
  destinationChain,
  type RuleChain,
  type RuleParts,
  ruleChain,
} from "./chain.ts";
import {
  compileActions,
  compileDestinationActions,
  type DestinationActions,
  NO_ACTIONS,
  type RuleActions,
} from "./compile-actions.ts";
import { compileCallHash } from "./hashing/hash-call.ts";
import { xxh64 } from "./hashing/xxh64.ts";
import { injectFault } from "./layers/inject-fault.ts";
import { mirrorCall, type ReadyMirror } from "./layers/mirror-call.ts";
import { observeCall } from "./layers/observe-call.ts";
import type { Destination } from "./layers/pick-endpoint.ts";
import { destinationName, type Ledger } from "./ledger.ts";
import { compileRetry } from "./retry/retry-rules.ts";
import { preparedRoutes } from "./routing/prepared-routes.ts";
import { regexEngine } from "./routing/regex-engine.ts";
import { Sessions } from "./routing/session.ts";
import { type ReadyDestination, type SplitParts, splitTraffic } from "./routing/split-traffic.ts";
import { type CallPlan, chain, type Send } from "./send.ts";

/** What compiling needs beside the snapshot. */
export interface CompileKit {
  readonly parts: ClientParts;
  readonly ledger: Ledger;
  /** For whom rules are compiled; those that are for other callers are left out. */
  readonly viewer: RouteViewer;
}

/** A service whose calls need no further thought. */
export interface CompiledService {
  readonly snapshot: ServiceSnapshot;
  /** The port that URLs of the service carry. */
  readonly port: number;
  /** Destinations of its splits that the snapshot does not hold yet. */
  readonly missing: readonly ServiceKey[];
  readonly matcher: RouteMatcher;
  readonly rules: ReadonlyMap<RouteRule, CompiledRule>;
  /** What becomes of a call that no rule matches; `undefined`: it is refused. */
  readonly unmatched: CompiledRule | undefined;
}

/** A rule with its destinations' chains. */
export interface CompiledRule {
  /** `route/rule`, or "default" for calls that no rule matched. */
  readonly name: string;
  readonly route: RoutePolicy | undefined;
  readonly send: Send;
  readonly chain: RuleChain;
  /** What its actions would do to a call, for explanations. */
  readonly outlook: RuleActions["outlook"];
  readonly destinations: readonly DestinationPlan[];
}

/** What a call runs under, with all that an explanation tells of it. */
export interface DestinationPlan extends CallPlan {
  readonly weight: number;
  readonly timeouts: EffectiveTimeouts;
  readonly retry: EffectiveRetry | undefined;
  readonly hedge: EffectiveHedge | undefined;
  readonly circuit: Circuit | undefined;
  /** The Host that it is sent, where the destination decides that. */
  readonly sentAuthority: string | undefined;
  /** The changes of headers that its calls meet, in words. */
  readonly changes: readonly string[];
  readonly target: Destination;
  readonly chain: DestinationChain;
  readonly clock: Clock;
}

/** Compiles one service of a snapshot. @throws when a policy cannot be compiled; `checkPolicies` refuses such ones before. */
export const compileService = (
  service: ServiceSnapshot,
  { mesh, services }: OutboundSnapshot,
  kit: CompileKit,
): CompiledService => {
  const missing = new Set<ServiceKey>();
  const context: RuleContext = { service, mesh, services, kit, missing };
  const rules = new Map<RouteRule, CompiledRule>();
  for (const route of service.routes) {
    for (const [place, rule] of route.rules.entries()) rules.set(rule, compileRule(context, route, rule, place));
  }
  const refuses = service.routes.some(({ unmatched }) => unmatched === "refuse");
  return {
    snapshot: service,
    port: servicePortOf(service.policy),
    missing: [...missing],
    matcher: preparedRoutes(service.routes).matcherFor(kit.viewer),
    rules,
    unmatched: refuses ? undefined : compileRule(context, undefined, undefined, 0),
  };
};

/** The services that a service's splits and mirrors lead to, itself included: a change of one is a change of all chains to it. */
export const destinationsOf = ({ key, routes }: ServiceSnapshot): ReadonlySet<ServiceKey> => {
  const found = new Set<ServiceKey>([key]);
  for (const route of routes) {
    for (const { split, mirror } of route.rules) {
      for (const { service } of [...(split ?? []), ...(mirror ?? [])]) {
        if (service !== undefined) found.add(referencedService(service, namespaceOf(route)));
      }
    }
  }
  return found;
};

interface RuleContext {
  readonly service: ServiceSnapshot;
  readonly mesh: MeshPolicy;
  readonly services: ReadonlyMap<ServiceKey, ServiceSnapshot>;
  readonly kit: CompileKit;
  readonly missing: Set<ServiceKey>;
}

const compileRule = (
  context: RuleContext,
  route: RoutePolicy | undefined,
  rule: RouteRule | undefined,
  place: number,
): CompiledRule => {
  const { services, kit, missing } = context;
  const { steps, outlook } = compileActions(rule);
  const split = compileSplit(rule?.split);
  const ready = new Map<WeightedDestination, ReadyDestination>();
  const destinations: DestinationPlan[] = [];
  const written = rule?.split === undefined || rule.split.length === 0 ? [WHOLE_SERVICE] : rule.split;
  // A rule that answers by itself sends nothing anywhere.
  for (const destination of steps.answer === undefined ? written : []) {
    // Sessions stay with a destination whose weight went to 0.
    if (destination.weight === 0 && rule?.sessionAffinity === undefined) continue;
    const key = keyOf(context, route, destination);
    const target = services.get(key);
    if (target === undefined) {
      missing.add(key);
      continue;
    }
    const plan = compileDestination(
      context,
      target,
      destination,
      rule,
      compileDestinationActions(rule, destination, target),
    );
    destinations.push(plan);
    ready.set(destination, { plan, send: assembleDestination(plan.chain) });
  }
  const name = route === undefined ? "default" : `${route.name}/${rule?.name ?? place}`;
  const chain = ruleChain(
    { ...steps, ...rulePartsOf(context, route, rule, name) },
    splitTraffic({ split, ready, random: kit.parts.random, ...splitPartsOf(context, rule, ready) }),
  );
  return {
    name,
    route,
    send: assembleRule(chain),
    chain,
    outlook,
    destinations,
  };
};

/** The service that a part of a rule names, or the one that was called. */
const keyOf = (
  { service }: RuleContext,
  route: RoutePolicy | undefined,
  named: { readonly service?: string },
): ServiceKey =>
  named.service === undefined || route === undefined
    ? service.key
    : referencedService(named.service, namespaceOf(route));

/** How a rule draws otherwise than by chance. */
const splitPartsOf = (
  { service, kit }: RuleContext,
  rule: RouteRule | undefined,
  ready: ReadonlyMap<WeightedDestination, ReadyDestination>,
): Pick<SplitParts, "hash" | "sessions"> => {
  const { clock, hashSource } = kit.parts;
  if (rule?.sticky === undefined && rule?.sessionAffinity === undefined)
    return { hash: undefined, sessions: undefined };
  // Rules of one service draw a key alike, and each service for itself: who meets one canary does not meet all of them.
  const seed = xxh64(service.key);
  const names = new Map(
    [...ready.values()].map((each) => [destinationName(each.plan.destination, each.plan.subset), each]),
  );
  return {
    hash: rule?.sticky === undefined ? undefined : compileCallHash(rule.sticky, hashSource, seed),
    sessions:
      rule?.sessionAffinity === undefined
        ? undefined
        : new Sessions(effectiveSessionAffinity(rule.sessionAffinity), names, seed, clock),
  };
};

/** What of a rule is more than its split. */
const rulePartsOf = (
  context: RuleContext,
  route: RoutePolicy | undefined,
  rule: RouteRule | undefined,
  name: string,
): Pick<RuleParts, "fault" | "mirror"> => {
  const { service, kit } = context;
  const { fault, mirror } = rule ?? {};
  return {
    fault:
      fault === undefined
        ? undefined
        : injectFault(compileFault(fault, regexEngine), { ...kit.parts, rule: `${service.key} ${name}` }),
    mirror:
      mirror === undefined
        ? undefined
        : mirrorCall(
            mirror.map((target) => compileMirror(context, route, rule, target)),
            kit.parts,
          ),
  };
};

/** A copy goes through its destination's own chain, as it was changed above. A service that is not known yet holds no call up. */
const compileMirror = (
  context: RuleContext,
  route: RoutePolicy | undefined,
  rule: RouteRule | undefined,
  written: MirrorTarget,
): ReadyMirror => {
  const { services, kit } = context;
  const { telemetry, source, clock } = kit.parts;
  const service = keyOf(context, route, written);
  const target = services.get(service);
  const mirror = { ...effectiveMirror(written), service, name: destinationName(service, written.subset) };
  if (target === undefined) return { ...mirror, ready: undefined };
  const plan = compileDestination(
    context,
    target,
    written.subset === undefined ? {} : { subset: written.subset },
    rule,
    NO_ACTIONS,
  );
  const send = chain([observeCall(telemetry, source, clock)], assembleDestination(plan.chain));
  return { ...mirror, ready: { plan, send } };
};

const compileDestination = (
  { mesh, kit }: RuleContext,
  service: ServiceSnapshot,
  { subset, weight = 1 }: WeightedDestination,
  rule: RouteRule | undefined,
  { steps: own, sentAuthority, changes }: DestinationActions,
): DestinationPlan => {
  const { parts, ledger } = kit;
  const { key, policy } = service;
  const labels = subset === undefined ? undefined : policy.subsets?.[subset];
  if (subset !== undefined && labels === undefined) {
    throw new RangeError(`service ${splitServiceKey(key).name} defines no subset "${subset}"`);
  }
  const breaker = effectiveCircuitBreaker(policy);
  const timeouts = effectiveTimeouts(rule, mesh);
  if (timeouts.isDefault) parts.notice(DEFAULT_TIMEOUT_NOTICE);
  const authored = effectiveRetry(rule?.retry, mesh);
  const hedge = effectiveHedge(rule?.hedge);
  const retry = authored && compileRetry(authored, regexEngine);
  const circuit = breaker === undefined ? undefined : ledger.circuit(key, subset, breaker);
  const outlierDetection = effectiveOutlierDetection(policy);
  const target: Destination = {
    endpoints: ledger.endpoints(key),
    labels,
    picker: ledger.picker(key, subset, effectiveBalancer(policy)),
    hash: policy.hashKey === undefined ? undefined : compileCallHash(policy.hashKey, parts.hashSource, ENVOY_SEED),
    panicPercent: policy.panicThreshold ?? DEFAULT_PANIC_THRESHOLD,
    outliers: outlierDetection === undefined ? undefined : ledger.outliers(key, outlierDetection),
  };
  const steps = destinationChain({
    ...parts,
    ...own,
    timeouts,
    retry,
    hedge,
    retryFallback: RETRY_ON_REQUEST,
    budget: ledger.retryBudget(key, effectiveRetryBudget(policy, mesh)),
    latency: ledger.latency(key, subset),
    circuit,
    destination: target,
    usage: ledger.usage(key, subset, effectiveConnectionPool(policy, mesh)),
  });
  return {
    destination: key,
    subset,
    weight,
    timeouts,
    retry,
    hedge,
    circuit,
    sentAuthority,
    changes,
    target,
    chain: steps,
    clock: parts.clock,
  };
};

/** Nobody chose the limit that may end their calls. */
export const DEFAULT_TIMEOUT_NOTICE: string = `calls for which no policy sets a timeout end when their reply's headers have not come after ${formatDuration(DEFAULT_TIMEOUT_MS)}: set timeout in a Route or in the Mesh's defaults ("0s" for none)`;

/** What a call gets that asks for retries where the policy has turned them off: the defaults, which are never `undefined`. */
const RETRY_ON_REQUEST = compileRetry(effectiveRetry({}, DEFAULT_MESH) as EffectiveRetry, regexEngine);

/** The seed of Envoy's hash policies: equal keys land on the endpoints where Envoy and gRPC would send them. */
const ENVOY_SEED = 0;
