import type { Clock } from "@tulle/time";
import type { AccessNotes } from "./access-notes.ts";
import type { ServerCounters } from "./counters.ts";
import type { ExternalAuthorizers } from "./external-authorizers.ts";
import type { Gate, Refusal, Visit } from "./gate.ts";
import { askAuthorizers } from "./gates/ask-authorizers.ts";
import { authenticateRequest } from "./gates/authenticate-request.ts";
import { authorize } from "./gates/authorize.ts";
import { checkRequest } from "./gates/check-request.ts";
import { enforceDeadline } from "./gates/enforce-deadline.ts";
import { identifyPeer } from "./gates/identify-peer.ts";
import { presentEndUser } from "./gates/present-end-user.ts";
import { requireMtls } from "./gates/require-mtls.ts";
import { requireReadiness } from "./gates/require-readiness.ts";
import type { InboundPolicy } from "./inbound-policy.ts";
import type { EndUser, TokenDesk } from "./tokens/token-desk.ts";

/** What the gates need of the server. */
export interface AdmissionKit {
  readonly current: { readonly policy: InboundPolicy | undefined };
  readonly clock: Clock;
  readonly counters: ServerCounters;
  /** Says who the end user is. */
  readonly tokens: Pick<TokenDesk, "authenticate" | "ownHeaders">;
  /** False while the service has not moved in: then headers stay as they came. */
  readonly touchHeaders: boolean;
  /** Where access policies note what they do not enforce. */
  readonly notes: AccessNotes;
  readonly authorizers: ExternalAuthorizers;
}

/** The order in which a request meets the gates. */
export const gatesFor = ({
  current,
  clock,
  counters,
  tokens,
  touchHeaders,
  notes,
  authorizers,
}: AdmissionKit): readonly Gate[] => {
  const authentication = { current, tokens, touchHeaders, endUsers: new WeakMap<Visit, EndUser>() };
  return [
    identifyPeer({ touchHeaders, counters }), // first: a property read; refusals and telemetry tell peers more than strangers
    requireReadiness(current), // before all that asks policy: without it nobody knows who may come in
    requireMtls, // before all that a caller without identity may learn from
    checkRequest, // before authorize, whose rules look at the path
    authenticateRequest(authentication), // before all whose rules name end users; may wait for keys
    askAuthorizers(current, authorizers), // before authorize: what an authorizer says of a call may be looked at by rules (Istio)
    presentEndUser(authentication), // behind the authorizers, who see the token itself (Istio); before rules about headers
    authorize(current, notes), // needs peer and path; before the deadline, so that strangers learn nothing of our clocks
    enforceDeadline(clock), // last: the time that the gates took counts too
  ];
};

/** What the gates said, or will say once the last of them has answered. */
export type AdmissionAnswer = Refusal | undefined | Promise<Refusal | undefined>;

/**
 * Asks the gates in order; the first no is the answer. It comes at once where all gates answer at once. While one is
 * waited for nobody asks those behind it, and once the caller is gone nobody asks them at all.
 */
export const admit = (gates: readonly Gate[], visit: Visit, from = 0): AdmissionAnswer => {
  try {
    for (let at = from; at < gates.length; at++) {
      const answer = gates[at]?.(visit);
      if (answer === undefined) continue;
      return answer instanceof Promise ? admitLater(answer, gates, visit, at + 1) : answer;
    }
    return undefined;
  } catch (error) {
    return broken(error);
  }
};

const admitLater = async (
  answer: Promise<Refusal | undefined>,
  gates: readonly Gate[],
  visit: Visit,
  next: number,
): Promise<Refusal | undefined> => {
  try {
    const refusal = await answer;
    if (refusal !== undefined) return refusal;
    return visit.open ? await admit(gates, visit, next) : callerGone;
  } catch (error) {
    return broken(error);
  }
};

/** A gate that breaks has not admitted anybody, and must not end the process either. */
const broken = (error: unknown): Refusal => ({
  code: "NOT_READY",
  detail: `a gate failed: ${error instanceof Error ? error.message : String(error)}`,
});

/** Nobody reads it: it only keeps the rest from running. */
const callerGone: Refusal = { code: "NOT_READY", detail: "the caller went away while a gate was waited for" };
