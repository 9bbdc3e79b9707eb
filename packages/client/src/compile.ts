import {
  compileRoutes,
  compileSplit,
  DEFAULT_MESH,
  DEFAULT_PANIC_THRESHOLD,
  type EffectiveRetry,
  type EffectiveTimeouts,
  effectiveBalancer,
  effectiveCircuitBreaker,
  effectiveConnectionPool,
  effectiveHedge,
  effectiveOutlierDetection,
  effectiveRetry,
  effectiveRetryBudget,
  effectiveTimeouts,
  type MeshPolicy,
  namespaceOf,
  type OutboundSnapshot,
  type RouteMatcher,
  type RoutePolicy,
  type RouteRule,
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
import type { Destination } from "./layers/pick-endpoint.ts";
import type { Ledger } from "./ledger.ts";
import { compileRetry } from "./retry/retry-rules.ts";
import { regexEngine } from "./routing/regex-engine.ts";
import { type ReadyDestination, splitTraffic } from "./routing/split-traffic.ts";
import type { CallPlan, Send } from "./send.ts";

/** What compiling needs beside the snapshot. */
export interface CompileKit {
  readonly parts: ClientParts;
  readonly ledger: Ledger;
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
  readonly destinations: readonly DestinationPlan[];
}

/** What a call runs under, with all that an explanation tells of it. */
export interface DestinationPlan extends CallPlan {
  readonly weight: number;
  readonly timeouts: EffectiveTimeouts;
  readonly retry: EffectiveRetry | undefined;
  readonly circuit: Circuit | undefined;
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
    matcher: compileRoutes(service.routes, regexEngine),
    rules,
    unmatched: refuses ? undefined : compileRule(context, undefined, undefined, 0),
  };
};

/** The services that a service's splits lead to, itself included: a change of one is a change of all chains to it. */
export const destinationsOf = ({ key, routes }: ServiceSnapshot): ReadonlySet<ServiceKey> => {
  const found = new Set<ServiceKey>([key]);
  for (const route of routes) {
    for (const { split } of route.rules) {
      for (const { service } of split ?? []) {
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
  const { service, services, kit, missing } = context;
  const split = compileSplit(rule?.split);
  const ready = new Map<WeightedDestination, ReadyDestination>();
  const destinations: DestinationPlan[] = [];
  const written = rule?.split === undefined || rule.split.length === 0 ? [WHOLE_SERVICE] : rule.split;
  for (const destination of written) {
    if (destination.weight === 0) continue;
    const key =
      destination.service === undefined || route === undefined
        ? service.key
        : referencedService(destination.service, namespaceOf(route));
    const target = services.get(key);
    if (target === undefined) {
      missing.add(key);
      continue;
    }
    const plan = compileDestination(context, target, destination, rule);
    destinations.push(plan);
    ready.set(destination, { plan, send: assembleDestination(plan.chain) });
  }
  const chain = ruleChain(rulePartsOf(rule), splitTraffic(split, ready, kit.parts.random));
  return {
    name: route === undefined ? "default" : `${route.name}/${rule?.name ?? place}`,
    route,
    send: assembleRule(chain),
    chain,
    destinations,
  };
};

/** What of a rule is more than its split. */
const rulePartsOf = (_rule: RouteRule | undefined): RuleParts => ({ fault: undefined, mirror: undefined });

const compileDestination = (
  { mesh, kit }: RuleContext,
  { key, policy }: ServiceSnapshot,
  { subset, weight = 1 }: WeightedDestination,
  rule: RouteRule | undefined,
): DestinationPlan => {
  const { parts, ledger } = kit;
  const labels = subset === undefined ? undefined : policy.subsets?.[subset];
  if (subset !== undefined && labels === undefined) {
    throw new RangeError(`service ${splitServiceKey(key).name} defines no subset "${subset}"`);
  }
  const breaker = effectiveCircuitBreaker(policy);
  const timeouts = effectiveTimeouts(rule, mesh);
  const authored = effectiveRetry(rule?.retry, mesh);
  const retry = authored && compileRetry(authored, regexEngine);
  const circuit = breaker === undefined ? undefined : ledger.circuit(key, subset, breaker);
  const outlierDetection = effectiveOutlierDetection(policy);
  const target: Destination = {
    endpoints: ledger.endpoints(key),
    labels,
    picker: ledger.picker(key, subset, effectiveBalancer(policy)),
    panicPercent: policy.panicThreshold ?? DEFAULT_PANIC_THRESHOLD,
    outliers: outlierDetection === undefined ? undefined : ledger.outliers(key, outlierDetection),
  };
  const chain = destinationChain({
    ...parts,
    timeouts,
    retry,
    hedge: effectiveHedge(rule?.hedge),
    retryFallback: RETRY_ON_REQUEST,
    budget: ledger.retryBudget(key, effectiveRetryBudget(policy, mesh)),
    latency: ledger.latency(key, subset),
    circuit,
    destination: target,
    usage: ledger.usage(key, subset, effectiveConnectionPool(policy, mesh)),
  });
  return { destination: key, subset, weight, timeouts, retry, circuit, target, chain, clock: parts.clock };
};

/** What a call gets that asks for retries where the policy has turned them off: the defaults, which are never `undefined`. */
const RETRY_ON_REQUEST = compileRetry(effectiveRetry({}, DEFAULT_MESH) as EffectiveRetry, regexEngine);
