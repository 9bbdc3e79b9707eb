import { formatDuration, isMeshError, type MeshError, templateValues } from "@tulle/policy";
import type { Clock } from "@tulle/time";
import type { CandidateFigures } from "./balancing/picker.ts";
import type { CircuitDescription } from "./breaker/circuit.ts";
import { callKey, MeshCall } from "./call.ts";
import type { CompiledRule, CompiledService, DestinationPlan } from "./compile.ts";
import { splitUrl } from "./faces/split-url.ts";
import { type LocalityDescription, LocalityPicker } from "./locality/locality-picker.ts";
import type { HostResolver } from "./routing/resolve-host.ts";
import { findRule, type RouteTable, ruleOf, wrongPort } from "./routing/route-table.ts";
import { flagsOf } from "./telemetry/attributes.ts";
import type { ThrottleDescription } from "./throttling/adaptive-throttle.ts";

/** One attempt, as it was. */
export interface ExplainedAttempt {
  /** From 1. */
  readonly number: number;
  readonly endpoint: string | undefined;
  readonly progress: "not-sent" | "refused" | "sent" | "answered";
  readonly status: number | undefined;
  readonly code: string | undefined;
  /** To the headers or the failure, milliseconds. */
  readonly durationMs: number;
  /** How long the retry waited before it, milliseconds. */
  readonly waitedMs: number;
}

/** One destination that the rule may send a call to. */
export interface ExplainedDestination {
  /** `default/reviews` or `default/reviews:v1`. */
  readonly name: string;
  readonly weight: number;
  readonly circuit: "closed" | "open" | "half-open" | "off";
  /** Whose circuit it is, what opens it, and how near it is; `undefined` where there is none. */
  readonly circuitDetail: CircuitDescription | undefined;
  /** How much the client refuses because the destination rejects many; `undefined` where the policy does not ask for it. */
  readonly throttling: ThrottleDescription | undefined;
  readonly balancer: string;
  /** The tiers, localities or zones that calls are shared out to; `undefined` where the policy does not ask for it. */
  readonly locality: LocalityDescription | undefined;
  /** Endpoints that may be picked now, with the picker's figures. */
  readonly candidates: readonly CandidateFigures[];
  /** Endpoints of the service that may not: draining, unhealthy or of another subset. */
  readonly leftOut: number;
}

/** What happened to a call, or would happen to one, and why. Plain data; `toString` tells it to people. */
export interface Explanation {
  readonly url: string;
  readonly method: string;
  /** `mesh`, `outside`, or `refused` by its host alone. */
  readonly kind: "mesh" | "outside" | "refused";
  readonly service: string | undefined;
  /** Revision of the policy in force. */
  readonly revision: string | undefined;
  /** `route/rule`, or "default" where no rule matched. */
  readonly rule: string | undefined;
  /** What the path gave to the names of the template that it met, as it is written there. */
  readonly variables: Readonly<Record<string, string>>;
  /** Where the policy was read from, as `file:line`. */
  readonly origin: string | undefined;
  /**
   * The subset that the split drew, or before the call the one that its session or its keys lead to; `undefined` when all
   * endpoints are meant, or when it is left to chance.
   */
  readonly subset: string | undefined;
  /** What the mesh answers, or answered, by itself: `redirect 301 to http://…`; `undefined` when a service is asked. */
  readonly answer: string | undefined;
  /** The URL that is sent, where a rule rewrites it. */
  readonly sentAs: string | undefined;
  /** The changes of headers that the call meets, in words; before the call only where one destination is meant. */
  readonly changes: readonly string[];
  readonly destinations: readonly ExplainedDestination[];
  readonly timeouts:
    | {
        readonly timeoutMs: number;
        readonly covers: string;
        readonly attemptTimeoutMs: number;
        readonly maxDurationMs: number;
      }
    | undefined;
  /** Retries that are allowed; 0 when they are off. */
  readonly retries: number;
  /** When a further endpoint is asked although the answer may still come; `undefined`: never. */
  readonly hedge: { readonly attempts: number; readonly after: string } | undefined;
  /** Why a failed attempt was not followed by another: a word of `NoRetry`, such as `OVERFLOW_RETRIES`. */
  readonly noRetry: string | undefined;
  /** What the rule does besides choosing a destination, such as `fault` and `mirror`, in the order in which a call meets it. */
  readonly steps: readonly string[];
  /** Envoy's response flags of what was done to the call on purpose: `DI` held it up, `FI` answered it. Empty before the call. */
  readonly flags: readonly string[];
  /** How long a fault held the call up, milliseconds. */
  readonly injectedDelayMs: number;
  /** Empty before the call. */
  readonly attempts: readonly ExplainedAttempt[];
  /** Code of the failure, if the call failed by the mesh. */
  readonly failure: string | undefined;
  /** Why, where a sentence is needed. */
  readonly note: string | undefined;
  toString(): string;
}

/**
 * Tells what happened to a call, from what the caller has in hand: a `Response` of `mesh.fetch`, the data of
 * `mesh.request` (or its `context`), or a failure, also where an API has made it the `cause` of its own. `undefined` for what
 * did not come through the mesh.
 */
export const explain = (result: unknown): Explanation | undefined => {
  const call = callIn(result) ?? callIn(fieldOf(result, "context"));
  if (call !== undefined) return explainCall(call, isMeshError(result) ? result : call.failure);
  if (isMeshError(result)) return explainRefusal(result);
  const cause = fieldOf(result, "cause");
  return isMeshError(cause) ? explain(cause) : undefined;
};

/** A field of a value of unknown shape. */
const fieldOf = (value: unknown, name: "context" | "cause"): unknown =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;

/** A call that was refused before it began: its failure is all there is. */
const explainRefusal = (failure: MeshError): Explanation | undefined => {
  const [method, url] = (failure.path[0] ?? "").split(" ");
  if (method === undefined || url === undefined) return undefined;
  return explainHost(url, method, "refused", { failure: failure.code, note: reasonOf(failure) });
};

const callIn = (value: unknown): MeshCall | undefined =>
  // Looked up on values of unknown shape; only this package puts something there.
  typeof value === "object" && value !== null ? (value as Record<symbol, MeshCall | undefined>)[callKey] : undefined;

/** What a call would say of itself; only what routes look at. */
export interface ExplainInit {
  /** @default "GET" */
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What explaining needs of the client. */
export interface ExplainKit {
  readonly hosts: HostResolver;
  readonly table: RouteTable;
  readonly clock: Clock;
}

/** Makes the explanation of calls that are not made. */
export const createExplain =
  ({ hosts, table, clock }: ExplainKit) =>
  (url: string | URL, init: ExplainInit = {}): Explanation => {
    const { origin, path } = splitUrl(url);
    const method = init.method ?? "GET";
    const to = hosts.resolve(origin);
    if (to.kind === "outside") return explainHost(String(url), method, "outside");
    if (to.kind === "refused") {
      return explainHost(String(url), method, "refused", { failure: to.code, note: withHint(to) });
    }
    const { service, scheme, authority, port } = to;
    const compiled = table.find(service);
    if (compiled === undefined) {
      return explainHost(String(url), method, "mesh", {
        service,
        revision: table.revision,
        note: "this member has not called the service yet; the first call asks the mesh for it",
      });
    }
    const wrong = wrongPort(compiled, { port, scheme });
    if (wrong !== undefined) {
      return explainHost(String(url), method, "refused", {
        service,
        revision: table.revision,
        failure: "UNKNOWN_SERVICE",
        note: withHint(wrong),
      });
    }
    const call = new MeshCall({
      method,
      scheme,
      authority,
      port,
      path,
      service,
      headers: Object.entries(init.headers ?? {}).flat(),
      body: null,
      replayable: true,
      options: {},
      startedAtMs: clock.now(),
      inherited: undefined,
    });
    const found = findRule(compiled, call);
    call.match = found?.match;
    return explainAhead(call, compiled, ruleOf(compiled, found), table.revision);
  };

const withHint = ({ message, hint }: { readonly message: string; readonly hint?: string }): string =>
  hint === undefined ? message : `${message}; ${hint}`;

/** A failure in words, without its code. */
const reasonOf = ({ code, message }: MeshError): string =>
  message.startsWith(`${code}: `) ? message.slice(code.length + 2) : message;

/** What is known of a call that never came to a route. */
const explainHost = (
  url: string,
  method: string,
  kind: Explanation["kind"],
  detail: Partial<Pick<Data, "service" | "revision" | "failure" | "note">> = {},
): Explanation =>
  new Told({
    url,
    method,
    kind,
    service: detail.service,
    revision: detail.revision,
    rule: undefined,
    variables: {},
    origin: undefined,
    subset: undefined,
    answer: undefined,
    sentAs: undefined,
    changes: [],
    destinations: [],
    timeouts: undefined,
    retries: 0,
    hedge: undefined,
    noRetry: undefined,
    steps: [],
    flags: [],
    injectedDelayMs: 0,
    attempts: [],
    failure: detail.failure,
    note: detail.note,
  });

/** What would happen to a call. */
const explainAhead = (
  call: MeshCall,
  compiled: CompiledService,
  rule: CompiledRule | undefined,
  revision: string,
): Explanation => {
  const [first] = rule?.destinations ?? [];
  const foreseen = rule?.foresee(call);
  const only = rule?.destinations.find((plan) => plan === foreseen);
  const outlook = rule?.outlook(call);
  return new Told({
    url: urlOf(call),
    method: call.method,
    kind: rule === undefined ? "refused" : "mesh",
    service: compiled.snapshot.key,
    revision,
    rule: rule?.name,
    variables: variablesOf(call),
    origin: originOf(rule),
    subset: only?.subset,
    answer: outlook?.answer,
    sentAs: outlook === undefined || outlook.answer !== undefined ? undefined : sentAs(call, outlook, only),
    changes: only?.changes ?? [],
    destinations: outlook?.answer === undefined ? (rule?.destinations ?? []).map(explainDestination) : [],
    timeouts: outlook?.answer === undefined ? first?.timeouts : undefined,
    retries: first?.retry?.retries ?? 0,
    hedge: explainHedge(first),
    noRetry: undefined,
    steps: (rule?.chain.call ?? []).map(({ name }) => name),
    flags: [],
    injectedDelayMs: 0,
    attempts: [],
    failure: rule === undefined ? "NO_ROUTE" : undefined,
    note: rule === undefined ? "no rule matches, and a route refuses what none matches" : undefined,
  });
};

/** What happened to a call; the candidates' figures are those of now. */
const explainCall = (call: MeshCall, failure: MeshError | undefined): Explanation => {
  // Plans are made by compile.ts alone, and all of them are of this kind.
  const plan = call.plan as DestinationPlan | undefined;
  return new Told({
    url: urlOf(call),
    method: call.method,
    kind: "mesh",
    service: call.service,
    revision: call.revision,
    rule: call.rule,
    variables: variablesOf(call),
    origin: undefined,
    subset: call.subset,
    answer: call.answer,
    sentAs: sentAs(call, call),
    changes: plan?.changes ?? [],
    destinations: plan === undefined ? [] : [explainDestination(plan)],
    timeouts: plan?.timeouts,
    retries: plan?.retry?.retries ?? 0,
    hedge: explainHedge(plan),
    noRetry: call.noRetry,
    steps: [],
    flags: flagsOf(call),
    injectedDelayMs: call.injectedDelayMs,
    attempts: call.attempts.map(({ number, endpoint, progress, status, code, durationMs, waitedMs }) => ({
      number,
      endpoint,
      progress,
      status,
      code,
      durationMs,
      waitedMs,
    })),
    failure: failure?.code,
    note: failure === undefined ? undefined : reasonOf(failure),
  });
};

const explainDestination = (plan: DestinationPlan): ExplainedDestination => {
  const { endpoints, labels, picker, panicPercent } = plan.target;
  const candidates = endpoints.subset(labels);
  return {
    name: plan.subset === undefined ? plan.destination : `${plan.destination}:${plan.subset}`,
    weight: plan.weight,
    circuit: plan.circuit?.state ?? "off",
    circuitDetail: plan.circuit?.describe(),
    throttling: plan.throttle?.describe(plan.clock.now()),
    balancer: picker.name,
    locality:
      picker instanceof LocalityPicker ? picker.describe(candidates, plan.clock.now(), panicPercent) : undefined,
    candidates: picker.explain(candidates, plan.clock.now()),
    leftOut: endpoints.all().length - candidates.length,
  };
};

const urlOf = (call: MeshCall): string => `${call.scheme}://${call.authority}${call.path}`;

/** What is sent, if it is not what the caller asked for. */
const sentAs = (
  call: MeshCall,
  { sentAuthority, sentPath }: Pick<MeshCall, "sentAuthority" | "sentPath">,
  only?: DestinationPlan,
): string | undefined => {
  const sent = `${call.scheme}://${only?.sentAuthority ?? sentAuthority}${sentPath}`;
  return sent === urlOf(call) ? undefined : sent;
};

const explainHedge = (plan: DestinationPlan | undefined): Explanation["hedge"] => {
  if (plan?.hedge === undefined) return undefined;
  const { attempts, after } = plan.hedge;
  return {
    attempts,
    after:
      "delayMs" in after ? written(after.delayMs) : `${Number((after.quantile * 100).toFixed(1))} % of the answers`,
  };
};

const variablesOf = ({ match, path }: MeshCall): Readonly<Record<string, string>> =>
  match?.path === undefined || !("template" in match.path) || match.path.invert === true
    ? {}
    : (templateValues(match.path.template, path.split("?", 1)[0] ?? "", match.ignoreCase) ?? {});

const originOf = (rule: CompiledRule | undefined): string | undefined => {
  const origin = rule?.route?.origin;
  return origin === undefined ? undefined : `${origin.file}:${origin.line}`;
};

type Data = Omit<Explanation, "toString">;

/** An explanation's data with its telling. */
class Told implements Explanation {
  readonly url!: string;
  readonly method!: string;
  readonly kind!: Explanation["kind"];
  readonly service!: string | undefined;
  readonly revision!: string | undefined;
  readonly rule!: string | undefined;
  readonly variables!: Readonly<Record<string, string>>;
  readonly origin!: string | undefined;
  readonly subset!: string | undefined;
  readonly answer!: string | undefined;
  readonly sentAs!: string | undefined;
  readonly changes!: readonly string[];
  readonly destinations!: readonly ExplainedDestination[];
  readonly timeouts!: Explanation["timeouts"];
  readonly retries!: number;
  readonly hedge!: Explanation["hedge"];
  readonly noRetry!: string | undefined;
  readonly steps!: readonly string[];
  readonly flags!: readonly string[];
  readonly injectedDelayMs!: number;
  readonly attempts!: readonly ExplainedAttempt[];
  readonly failure!: string | undefined;
  readonly note!: string | undefined;

  constructor(data: Data) {
    Object.assign(this, data);
  }

  toString(): string {
    return tell(this).join("\n");
  }
}

const tell = (told: Data): string[] => {
  const lines = [`${told.method} ${told.url}`];
  if (told.kind === "outside") lines.push("  outside the mesh: handed on untouched");
  if (told.service !== undefined) {
    lines.push(`  service ${told.service}, policy revision ${told.revision ?? "unknown"}`);
  }
  if (told.rule !== undefined) lines.push(`  rule ${told.rule}${told.origin === undefined ? "" : ` (${told.origin})`}`);
  for (const [name, value] of Object.entries(told.variables)) lines.push(`    ${name} = ${value}`);
  if (told.answer !== undefined) lines.push(`  answered by the mesh: ${told.answer}`);
  if (told.sentAs !== undefined) lines.push(`  sent as ${told.sentAs}`);
  for (const change of told.changes) lines.push(`  ${change}`);
  if (told.timeouts !== undefined) {
    const { timeoutMs, covers, attemptTimeoutMs, maxDurationMs } = told.timeouts;
    const until = covers === "headers" ? "until the headers" : "for the whole reply";
    const inAll = maxDurationMs === Number.POSITIVE_INFINITY ? "" : `, at most ${written(maxDurationMs)} in all`;
    const hedges = told.hedge === undefined ? "" : `; hedges ${told.hedge.attempts} after ${told.hedge.after}`;
    lines.push(
      `  timeout ${written(timeoutMs)} ${until}, per attempt ${written(attemptTimeoutMs)}${inAll}; retries ${told.retries}${hedges}`,
    );
  }
  if (told.steps.length > 0) lines.push(`  before that: ${told.steps.join(", ")}`);
  if (told.injectedDelayMs > 0) lines.push(`  held up by a fault for ${told.injectedDelayMs.toFixed(1)} ms (DI)`);
  if (told.flags.includes("FI")) lines.push("  answered by a fault (FI)");
  for (const destination of told.destinations) {
    const { name, weight, circuit, circuitDetail, throttling, balancer, locality, candidates, leftOut } = destination;
    lines.push(
      `  ${name}, weight ${weight}: circuit ${circuit}, ${balancer} over ${candidates.length} endpoints, ${leftOut} left out`,
    );
    if (circuitDetail !== undefined) lines.push(`    ${tellCircuit(circuitDetail)}`);
    if (throttling !== undefined) lines.push(`    ${tellThrottling(throttling)}`);
    if (locality !== undefined) lines.push(...tellLocality(locality).map((line) => `    ${line}`));
    for (const { endpoint, state, inFlight, rttMs, load, reserve } of candidates) {
      lines.push(
        `    ${endpoint}: ${inFlight} in flight, ${rttMs === undefined ? "not measured" : `${rttMs.toFixed(1)} ms`}, load ${load.toFixed(1)}${state === "healthy" ? "" : `, ${state}`}${reserve === true ? ", in reserve" : ""}`,
      );
    }
  }
  for (const { number, endpoint, progress, status, code, durationMs, waitedMs } of told.attempts) {
    const waited = waitedMs > 0 ? ` after waiting ${waitedMs.toFixed(1)} ms` : "";
    const outcome = [progress, status, code].filter((each) => each !== undefined).join(" ");
    lines.push(`  attempt ${number}${waited}: ${endpoint ?? "no endpoint"}, ${outcome}, ${durationMs.toFixed(1)} ms`);
  }
  if (told.noRetry !== undefined) lines.push(`  not tried again: ${told.noRetry}`);
  if (told.failure === undefined) {
    if (told.note !== undefined) lines.push(`  ${told.note}`);
  } else {
    lines.push(`  failed: ${told.failure}${told.note === undefined ? "" : ` (${told.note})`}`);
  }
  return lines;
};

const written = (ms: number): string => (ms === Number.POSITIVE_INFINITY ? "none" : formatDuration(ms));

const tellCircuit = ({ scope, opensAt, calls, failures, inARow }: CircuitDescription): string =>
  `circuit of the ${scope}: opens at ${opensAt}; now ${failures} failures in ${calls} calls, ${inARow} in a row`;

const tellLocality = ({ mode, own, why, groups }: LocalityDescription): readonly string[] => [
  `locality ${mode}, called from ${own === "" ? "an unknown place" : own}${why === undefined ? "" : `: does not matter now, ${why}`}`,
  ...groups.map(({ name, healthy, total, healthPercent, loadPercent, panics }) => {
    const shares = why === undefined ? `, bears ${tellPercent(healthPercent)}, gets ${tellPercent(loadPercent)}` : "";
    return `  ${name}: ${healthy} of ${total} healthy${shares}${panics ? ", in panic" : ""}`;
  }),
];

const tellPercent = (percent: number): string => `${Number(percent.toFixed(1))} %`;

const tellThrottling = ({ rejectionPercent, requests, accepts }: ThrottleDescription): string =>
  `throttling refuses ${rejectionPercent.toFixed(1)} % now; ${accepts} of ${requests} calls were accepted`;
