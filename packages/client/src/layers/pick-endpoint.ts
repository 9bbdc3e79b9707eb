import { isMeshError } from "@tulle/policy";
import type { Clock, Random } from "@tulle/time";
import { pickUsable } from "../balancing/pick-usable.ts";
import type { Picker } from "../balancing/picker.ts";
import { isUnreachable } from "../breaker/circuit-outcome.ts";
import type { Candidate, EndpointSet } from "../endpoints/endpoint-set.ts";
import type { OutlierDetector } from "../endpoints/outlier-detector.ts";
import { beginCall, forgetProbe } from "../endpoints/outlier-ejection.ts";
import { outcomeOfError, outcomeOfGrpc, outcomeOfStatus } from "../endpoints/outlier-outcome.ts";
import { noteReached, noteSent, noteUnreachable } from "../endpoints/probation.ts";
import { failCall } from "../failure.ts";
import type { CallHash } from "../hashing/hash-call.ts";
import { parseLoadReport } from "../load-reports/load-report.ts";
import type { Reply } from "../reply.ts";
import { parseRetryAfter } from "../retry/retry-delay.ts";
import { AttemptSuperseded } from "../retry/superseded.ts";
import type { EndpointSessions } from "../routing/endpoint-session.ts";
import type { Attempt, AttemptSend, Call } from "../send.ts";
import { LOAD_REPORT_FORMAT, LOAD_REPORT_FORMAT_HEADER } from "../transport/control-headers.ts";
import { hostnameOf } from "./find-outside.ts";

/** Labels of the endpoints of each host, in the order of the hosts. */
type LabelsByHost = ReadonlyMap<string, Readonly<Record<string, string>>>;

/** Sends an attempt to the endpoint that was picked for it. */
export type EndpointSend = (call: Call, attempt: Attempt, candidate: Candidate) => Promise<Reply>;

/** Where an attempt may go. */
export interface Destination {
  readonly endpoints: EndpointSet;
  /** Labels of the subset, `undefined` for all endpoints. */
  readonly labels: Readonly<Record<string, string>> | undefined;
  /** Instead of `labels`, by the host that is sent, where a service outside the mesh tells its hosts apart. */
  readonly labelsByHost?: LabelsByHost | undefined;
  readonly picker: Picker;
  /** What a call is told apart by, for pickers that send equal keys to equal endpoints; `undefined`: nothing. */
  readonly hash: CallHash | undefined;
  /** Keeps the calls of sessions with endpoints; `undefined` where the rule does not ask for it. */
  readonly sessions?: EndpointSessions | undefined;
  /** Watches the service's endpoints; `undefined` where the policy turned it off. */
  readonly outliers: OutlierDetector | undefined;
  /** Ejections are ignored when fewer than so many percent of the reachable endpoints are left; 0: never. */
  readonly panicPercent: number;
}

/** What the pick needs besides its destination. */
export interface PickTools {
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * Picks anew for each attempt, leaving out endpoints that the call has tried, and keeps the endpoint's figures: it counts as
 * in flight until its reply's body is over, its latency is the time to the headers. Endpoints that could not be reached are on
 * probation, those that failed are ejected: avoided while others are left.
 * It tells whether a failure is its endpoint's alone, because the circuit above counts the failures of the destination.
 */
export const pickEndpoint = (
  destination: Destination,
  { clock, random }: PickTools,
  next: EndpointSend,
): AttemptSend => {
  const { picker, hash, sessions, outliers, panicPercent } = destination;
  const pickByBalancer = (
    call: Call,
    attempt: Attempt,
    candidates: readonly Candidate[],
    nowMs: number,
  ): Candidate | undefined =>
    pickUsable(picker, candidates, triedBefore(call, attempt), nowMs, panicPercent, random, hash?.(call));
  const pick: typeof pickByBalancer =
    sessions === undefined
      ? pickByBalancer
      : (call, attempt, candidates, nowMs) =>
          sessions.endpointOf(call, attempt, candidates, nowMs) ??
          (sessions.insists(call) ? undefined : pickByBalancer(call, attempt, candidates, nowMs));
  return (call, attempt) => {
    const candidates = candidatesFor(destination, call);
    const startedAtMs = clock.now();
    const candidate = pick(call, attempt, candidates, startedAtMs);
    if (candidate === undefined) return Promise.reject(nowhere(call, attempt, destination));
    attempt.chosen = candidate.endpoint;
    attempt.endpoint = candidate.endpoint.id;
    // Nobody else can be believed, and nobody else would answer.
    if (picker.readsReports === true && candidate.endpoint.transport === "mtls") {
      attempt.headers.push(LOAD_REPORT_FORMAT_HEADER, LOAD_REPORT_FORMAT);
    }
    const { reach, outlier } = candidate.figures;
    noteSent(reach, startedAtMs);
    const isProbe = outliers !== undefined && beginCall(outlier, startedAtMs);
    picker.start(candidate, startedAtMs);
    return next(call, attempt, candidate).then(
      (reply) => {
        const rttMs = clock.now() - startedAtMs;
        noteReached(reach);
        if (attempt.loadReport !== undefined) tellReport(picker, candidate, attempt.loadReport, clock.now());
        const answered = outcomeOfGrpc(reply.headers) ?? outcomeOfStatus(reply.status);
        // A body can go on for hours: only a success waits for its end, and a probe does not wait at all.
        const judged = isProbe || answered !== "success";
        if (attempt.progress === "refused") forgetProbe(outlier, isProbe);
        else if (judged) outliers?.observe(candidate, answered, isProbe, clock.now());
        reply.onDone((error) => {
          if (!judged && !givenUp(call)) {
            const ended = error === undefined ? (outcomeOfGrpc(reply.trailers) ?? "success") : "local-origin";
            outliers?.observe(candidate, ended, false, clock.now());
          }
          const overloaded = reply.status >= 500 || reply.status === 429;
          const retryAfter = overloaded ? reply.headers["retry-after"] : undefined;
          const retryAfterMs =
            typeof retryAfter === "string" ? parseRetryAfter(retryAfter, clock.wallNow()) : undefined;
          const failed = overloaded || (error !== undefined && !givenUp(call));
          picker.end(
            candidate,
            clock.now(),
            retryAfterMs === undefined ? { rttMs, failed } : { rttMs, failed, retryAfterMs },
          );
        });
        return reply;
      },
      (error: unknown) => {
        const nowMs = clock.now();
        // It let the request be, and said so: it may be full or about to leave, and is neither ill nor out of reach.
        const refused = attempt.progress === "refused";
        if (isUnreachable(error) && !refused) {
          noteUnreachable(reach, nowMs, random);
          attempt.isolated = candidates.some(({ figures }) => figures.reach.failures === 0);
        }
        const outcome = refused ? undefined : outcomeOfError(error);
        if (outcome === undefined) forgetProbe(outlier, isProbe);
        else outliers?.observe(candidate, outcome, isProbe, nowMs);
        const failed = !refused && !givenUp(call) && !isSuperseded(error);
        picker.end(candidate, nowMs, { rttMs: nowMs - startedAtMs, failed });
        throw error;
      },
    );
  };
};

const tellReport = (picker: Picker, candidate: Candidate, written: string, nowMs: number): void => {
  const report = parseLoadReport(written);
  if (report !== undefined) picker.report?.(candidate, nowMs, report);
};

/** One of two attempts was given up because the other answered: it may have been slow, which its time tells, not failing. */
const isSuperseded = (error: unknown): boolean => error instanceof AttemptSuperseded;

/** The endpoints that the call may go to: of its subset, or of the host that is sent; under a name that is none of the hosts, of the first. */
const candidatesFor = (
  { endpoints, labels, labelsByHost }: Pick<Destination, "endpoints" | "labels" | "labelsByHost">,
  { sentAuthority }: Call,
): readonly Candidate[] =>
  endpoints.subset(
    labelsByHost === undefined
      ? labels
      : (labelsByHost.get(hostnameOf(sentAuthority)) ?? labelsByHost.values().next().value),
  );

/** Whether an endpoint is left that the call was not sent to and that may be picked. */
export const hasUntried = (destination: Destination, call: Call): boolean =>
  destination.sessions?.insists(call) !== true &&
  candidatesFor(destination, call).some(({ endpoint: { id } }) =>
    call.attempts.every(({ endpoint }) => endpoint !== id),
  );

/** Whether the connections that the call's attempts hold could be lost now: on HTTP/1.1 a loser that is given up costs its own. */
export const affordsLosers = (
  destination: Pick<Destination, "endpoints" | "labels" | "labelsByHost">,
  call: Call,
  nowMs: number,
): boolean =>
  candidatesFor(destination, call).every(
    ({ endpoint: { id }, pool }) => call.attempts.every(({ endpoint }) => endpoint !== id) || pool.affordsAbort(nowMs),
  );

/** A call that its caller gave up says nothing about the endpoint; one that ran out of time does. */
const givenUp = (call: Call): boolean => call.cancel.cancelled && !isMeshError(call.cancel.reason);

/** Endpoints of the call's earlier attempts; none is made for the first, which is nearly every one. */
const triedBefore = (call: Call, attempt: Attempt): ReadonlySet<string> | undefined => {
  if (attempt.number === 1) return undefined;
  const tried = new Set<string>();
  for (const { endpoint } of call.attempts) if (endpoint !== undefined) tried.add(endpoint);
  return tried;
};

const nowhere = (call: Call, attempt: Attempt, { endpoints, sessions }: Destination): Error => {
  attempt.code = "NO_HEALTHY_ENDPOINT";
  if (sessions?.insists(call) === true) {
    return failCall(call, "NO_HEALTHY_ENDPOINT", "the endpoint of the call's session has left, or may not be called");
  }
  const registered = endpoints.all().length;
  const which = call.subset === undefined ? "" : ` of subset ${call.subset}`;
  return failCall(
    call,
    "NO_HEALTHY_ENDPOINT",
    registered === 0
      ? "the service has no registered endpoint"
      : `none of the service's ${registered} endpoints${which} may be called`,
  );
};
