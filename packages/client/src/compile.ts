import {
  compileSplit,
  DEFAULT_MESH,
  DEFAULT_PANIC_THRESHOLD,
  DEFAULT_TIMEOUT_MS,
  type EffectiveHedge,
  type EffectiveRetry,
  type EffectiveTimeouts,
  effectiveAdaptiveThrottling,
  effectiveBalancer,
  effectiveCircuitBreaker,
  effectiveConnectionPool,
  effectiveHedge,
  effectiveLocality,
  effectiveOutlierDetection,
  effectiveRetry,
  effectiveRetryBudget,
  effectiveTimeouts,
  formatDuration,
  generatedCookies,
  type MeshPolicy,
  namespaceOf,
  type OutboundSnapshot,
  type PolicyOrigin,
  portsWithPolicy,
  type RouteMatcher,
  type RoutePolicy,
  type RouteRule,
  type RouteViewer,
  referencedService,
  type ServiceKey,
  type ServiceOverrides,
  type ServicePolicy,
  type ServiceSnapshot,
  servicePolicyFor,
  servicePortOf,
  splitServiceKey,
  type WeightedDestination,
  WHOLE_SERVICE,
} from "@tulle/policy";
import type { Clock, Random } from "@tulle/time";
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
import { compileFindOutside, labelsByHost } from "./compile-outside.ts";
import { compileDraw, compileEndpointSessions, compileFaultStep, compileMirrorStep } from "./compile-traffic.ts";
import { compileCallHash } from "./hashing/hash-call.ts";
import { giveHashCookies } from "./layers/hash-cookie.ts";
import type { Destination } from "./layers/pick-endpoint.ts";
import type { Ledger } from "./ledger.ts";
import { compileRetry } from "./retry/retry-rules.ts";
import { preparedRoutes } from "./routing/prepared-routes.ts";
import { regexEngine } from "./routing/regex-engine.ts";
import { foresee, type ReadyDestination, type SplitParts, splitTraffic } from "./routing/split-traffic.ts";
import type { Call, CallPlan, Layer, Send } from "./send.ts";
import type { AdaptiveThrottle } from "./throttling/adaptive-throttle.ts";

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
  /** The ports that URLs of the service may carry. */
  readonly ports: ReadonlySet<number>;
  /** Destinations of its splits that the snapshot does not hold yet. */
  readonly missing: readonly ServiceKey[];
  /** All that its chains ask: circuits that none asks any more end. */
  readonly circuits: ReadonlySet<Circuit>;
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
  /** Where the rule was read, where it says so itself. */
  readonly origin: PolicyOrigin | undefined;
  readonly send: Send;
  readonly chain: RuleChain;
  /** What its actions would do to a call, for explanations. */
  readonly outlook: RuleActions["outlook"];
  readonly destinations: readonly DestinationPlan[];
  /** Where a call would go; `undefined` where that is left to chance. */
  readonly foresee: (call: Call) => CallPlan | undefined;
}

/** What a call runs under, with all that an explanation tells of it. */
export interface DestinationPlan extends CallPlan {
  readonly weight: number;
  readonly timeouts: EffectiveTimeouts;
  readonly retry: EffectiveRetry | undefined;
  readonly hedge: EffectiveHedge | undefined;
  readonly circuit: Circuit | undefined;
  readonly throttle: AdaptiveThrottle | undefined;
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
  const circuits = new Set<Circuit>();
  const context: ServiceContext = { service, mesh, services, kit, missing, circuits };
  const rules = new Map<RouteRule, CompiledRule>();
  for (const route of service.routes) {
    for (const [place, rule] of route.rules.entries()) rules.set(rule, compileRule(context, route, rule, place));
  }
  const refuses = service.routes.some(({ unmatched }) => unmatched === "refuse");
  return {
    snapshot: service,
    ports: new Set([servicePortOf(service.policy), ...(service.policy.ports ?? [])]),
    missing: [...missing],
    circuits,
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

interface ServiceContext {
  readonly service: ServiceSnapshot;
  readonly mesh: MeshPolicy;
  readonly services: ReadonlyMap<ServiceKey, ServiceSnapshot>;
  readonly kit: CompileKit;
  readonly missing: Set<ServiceKey>;
  readonly circuits: Set<Circuit>;
}

interface RuleContext extends ServiceContext {
  /** The rule among those of all namespaces: `namespace/route/rule`, or "default" for calls that no rule matched. */
  readonly ruleKey: string;
  /** The chains are those of copies, whose failures must not open a circuit of calls that somebody waits for. */
  readonly copies?: true;
}

const compileRule = (
  found: ServiceContext,
  route: RoutePolicy | undefined,
  rule: RouteRule | undefined,
  place: number,
): CompiledRule => {
  const { service, services, kit, missing } = found;
  const name = route === undefined ? "default" : `${route.name}/${rule?.name ?? place}`;
  const context: RuleContext = {
    ...found,
    ruleKey: route === undefined ? name : `${namespaceOf(route)}/${name}`,
  };
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
    const actions = compileDestinationActions(rule, destination, target);
    const made = compileReady(context, target, destination, rule, actions);
    destinations.push(made.plan);
    ready.set(destination, made);
  }
  const parts: SplitParts = {
    split,
    ready,
    random: kit.parts.random,
    ...compileDraw(rule, service.key, ready, kit.parts),
  };
  const chain = ruleChain({ ...steps, ...trafficStepsOf(context, route, rule, name) }, splitTraffic(parts));
  return {
    name,
    route,
    origin: rule?.origin,
    send: assembleRule(chain),
    chain,
    outlook,
    destinations,
    foresee: (call) => foresee(parts, call),
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

/** What of a rule needs the member's state: faults, and copies through chains of their own. */
const trafficStepsOf = (
  context: RuleContext,
  route: RoutePolicy | undefined,
  rule: RouteRule | undefined,
  name: string,
): Pick<RuleParts, "fault" | "mirror"> => {
  const { service, services, kit } = context;
  const { fault, mirror } = rule ?? {};
  // A copy is sent once: it is neither repeated nor hedged.
  const { hedge: _, ...once } = { ...rule, retry: false as const };
  const targets = mirror?.map((written) => {
    const key = keyOf(context, route, written);
    const target = services.get(key);
    const destination = written.subset === undefined ? {} : { subset: written.subset };
    // One that is not known yet holds no call up.
    return {
      written,
      key,
      ready: target && compileReady({ ...context, copies: true }, target, destination, once, NO_ACTIONS),
    };
  });
  return {
    fault: fault && compileFaultStep(fault, `${service.key} ${name}`, kit.parts),
    mirror: targets && compileMirrorStep(targets, kit.parts),
  };
};

/** A destination's chain, and those of the ports of which its policy says something of its own. */
const compileReady = (
  context: RuleContext,
  service: ServiceSnapshot,
  destination: WeightedDestination,
  rule: RouteRule | undefined,
  actions: DestinationActions,
): ReadyDestination & { readonly plan: DestinationPlan } => {
  const readyOn = (port: number | undefined): ReadyDestination & { readonly plan: DestinationPlan } => {
    const plan = compileDestination(context, service, destination, rule, actions, port);
    return { plan, send: assembleDestination(plan.chain) };
  };
  const ports = portsWithPolicy(service.policy, destination.subset);
  if (ports.length === 0) return readyOn(undefined);
  return { ...readyOn(undefined), byPort: new Map(ports.map((port) => [port, readyOn(port)])) };
};

const compileDestination = (
  { service: called, mesh, kit, circuits, ruleKey, copies }: RuleContext,
  service: ServiceSnapshot,
  { subset, weight = 1 }: WeightedDestination,
  rule: RouteRule | undefined,
  { steps: own, sentAuthority, changes }: DestinationActions,
  port: number | undefined,
): DestinationPlan => {
  const { parts, ledger } = kit;
  const { key } = service;
  const policy = servicePolicyFor(service.policy, subset, port);
  // What is learnt under a policy of its own is kept apart, as a subset's is.
  const variant = port === undefined ? subset : `${subset ?? ""}@${port}`;
  const labels = subset === undefined ? undefined : policy.subsets?.[subset];
  if (subset !== undefined && labels === undefined) {
    throw new RangeError(`service ${splitServiceKey(key).name} defines no subset "${subset}"`);
  }
  /** What the whole service shares, unless the subset or the port says it otherwise. */
  const ownVariant = (field: keyof ServiceOverrides): string | undefined =>
    policy[field] === service.policy[field] ? undefined : variant;
  const breaker = effectiveCircuitBreaker(policy);
  const timeouts = effectiveTimeouts(rule, mesh);
  if (timeouts.isDefault) parts.notice(DEFAULT_TIMEOUT_NOTICE);
  const authored = effectiveRetry(rule?.retry, mesh);
  const hedge = effectiveHedge(rule?.hedge);
  const retry = authored && compileRetry(authored, regexEngine);
  const owner = copies ? "copies of calls" : breaker?.scope === "rule" ? `rule ${ruleKey}` : undefined;
  const circuit = breaker && ledger.circuit(key, variant, owner, breaker);
  if (circuit !== undefined) circuits.add(circuit);
  const throttling = effectiveAdaptiveThrottling(policy);
  const throttle = throttling && ledger.throttle(key, variant, throttling);
  const outlierDetection = effectiveOutlierDetection(policy);
  const target: Destination = {
    endpoints: ledger.endpoints(key),
    labels,
    labelsByHost: labelsByHost(service),
    picker: ledger.picker(key, variant, effectiveBalancer(policy), { labels, locality: effectiveLocality(policy) }),
    hash: policy.hashKey === undefined ? undefined : compileCallHash(policy.hashKey, parts.hashSource, ENVOY_SEED),
    sessions: compileEndpointSessions(rule, called.key, ledger.endpoints(key), labels),
    panicPercent: policy.panicThreshold ?? DEFAULT_PANIC_THRESHOLD,
    outliers:
      outlierDetection === undefined
        ? undefined
        : ledger.outliers(key, ownVariant("outlierDetection"), outlierDetection),
  };
  const pool = effectiveConnectionPool(policy, mesh);
  const steps = destinationChain({
    ...parts,
    ...own,
    timeouts,
    retry,
    hedge,
    retryFallback: RETRY_ON_REQUEST,
    budget: ledger.retryBudget(key, ownVariant("retryBudget"), effectiveRetryBudget(policy, mesh)),
    latency: ledger.latency(key, variant),
    circuit,
    throttle,
    destination: target,
    hashCookie: compileHashCookie(policy, parts.random),
    findOutside: compileFindOutside(service, pool, ledger, parts.clock),
    usage: ledger.usage(key, variant, pool),
  });
  return {
    destination: key,
    subset,
    weight,
    timeouts,
    retry,
    hedge,
    circuit,
    throttle,
    sentAuthority,
    changes,
    target,
    chain: steps,
    clock: parts.clock,
  };
};

/** Only for balancers that look at the hash: to others the cookie would mean nothing. */
const compileHashCookie = ({ balancer, hashKey = [] }: ServicePolicy, random: Random): Layer | undefined => {
  const cookies = generatedCookies(hashKey);
  const algorithm = balancer?.algorithm;
  const reads = algorithm === "ring-hash" || algorithm === "maglev" || algorithm === "custom";
  return reads && cookies.length > 0 ? giveHashCookies(cookies, random) : undefined;
};

/** Nobody chose the limit that may end their calls. */
export const DEFAULT_TIMEOUT_NOTICE: string = `calls for which no policy sets a timeout end when their reply's headers have not come after ${formatDuration(DEFAULT_TIMEOUT_MS)}: set timeout in a Route or in the Mesh's defaults ("0s" for none)`;

/** What a call gets that asks for retries where the policy has turned them off: the defaults, which are never `undefined`. */
const RETRY_ON_REQUEST = compileRetry(effectiveRetry({}, DEFAULT_MESH) as EffectiveRetry, regexEngine);

/** The seed of Envoy's hash policies: equal keys land on the endpoints where Envoy and gRPC would send them. */
const ENVOY_SEED = 0;
