import { isMeshError, type MeshError, templateValues } from "@tulle/policy";
import type { Clock } from "@tulle/time";
import { callKey, MeshCall } from "./call.ts";
import type { CompiledRule, CompiledService, DestinationPlan } from "./compile.ts";
import {
  type ExplainedDestination,
  type Explanation,
  type ExplanationData,
  limitInWords,
  ToldExplanation,
} from "./explanation.ts";
import { splitUrl } from "./faces/split-url.ts";
import { LocalityPicker } from "./locality/locality-picker.ts";
import type { HostResolver } from "./routing/resolve-host.ts";
import { findRule, type RouteTable, ruleOf, wrongPort } from "./routing/route-table.ts";
import { flagsOf } from "./telemetry/attributes.ts";

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
  detail: Partial<Pick<ExplanationData, "service" | "revision" | "failure" | "note">> = {},
): Explanation =>
  new ToldExplanation({
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
  return new ToldExplanation({
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
    destinations:
      outlook?.answer === undefined
        ? (rule?.destinations ?? []).map((plan) => explainDestination(plan, plan === foreseen ? call : undefined))
        : [],
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
  return new ToldExplanation({
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
    destinations: plan === undefined ? [] : [explainDestination(plan, call)],
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

/** @param call one that goes there, for what its session makes of it. */
const explainDestination = (plan: DestinationPlan, call: MeshCall | undefined): ExplainedDestination => {
  const { endpoints, labels, picker, panicPercent, sessions } = plan.target;
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
    session: call && sessions?.describe(call, candidates, plan.clock.now()),
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
      "delayMs" in after
        ? limitInWords(after.delayMs)
        : `${Number((after.quantile * 100).toFixed(1))} % of the answers`,
  };
};

const variablesOf = ({ match, path }: MeshCall): Readonly<Record<string, string>> =>
  match?.path === undefined || !("template" in match.path) || match.path.invert === true
    ? {}
    : (templateValues(match.path.template, path.split("?", 1)[0] ?? "", match.ignoreCase) ?? {});

const originOf = (rule: CompiledRule | undefined): string | undefined => {
  const origin = rule?.origin ?? rule?.route?.origin;
  return origin === undefined ? undefined : `${origin.file}:${origin.line}`;
};
