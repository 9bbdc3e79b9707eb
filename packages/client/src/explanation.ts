import { formatDuration } from "@tulle/policy";
import type { CandidateFigures } from "./balancing/picker.ts";
import type { CircuitDescription } from "./breaker/circuit.ts";
import type { LocalityDescription } from "./locality/locality-picker.ts";
import type { SessionDescription } from "./routing/endpoint-session.ts";
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
  /** Which endpoint the call's session stays with; `undefined` where it has none. */
  readonly session: SessionDescription | undefined;
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

/** An explanation without its telling. */
export type ExplanationData = Omit<Explanation, "toString">;

/** An explanation's data with its telling. */
export class ToldExplanation implements Explanation {
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

  constructor(data: ExplanationData) {
    Object.assign(this, data);
  }

  toString(): string {
    return tell(this).join("\n");
  }
}

const tell = (told: ExplanationData): string[] => {
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
    const inAll = maxDurationMs === Number.POSITIVE_INFINITY ? "" : `, at most ${limitInWords(maxDurationMs)} in all`;
    const hedges = told.hedge === undefined ? "" : `; hedges ${told.hedge.attempts} after ${told.hedge.after}`;
    lines.push(
      `  timeout ${limitInWords(timeoutMs)} ${until}, per attempt ${limitInWords(attemptTimeoutMs)}${inAll}; retries ${told.retries}${hedges}`,
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
    if (destination.session !== undefined) lines.push(`    ${tellSession(destination.session)}`);
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

const tellSession = ({ endpoint, strict }: SessionDescription): string => {
  if (endpoint !== undefined) return `its session stays with ${endpoint}`;
  return `the endpoint of its session may not be called: ${strict ? "it fails" : "another one takes the session over"}`;
};

/** A limit in words. */
export const limitInWords = (ms: number): string => (ms === Number.POSITIVE_INFINITY ? "none" : formatDuration(ms));

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
