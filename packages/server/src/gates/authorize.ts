import type { AccessQuestion, AccessVerdict } from "@tulle/policy";
import { strangerConnection } from "../connection.ts";
import type { Gate, Peer, Permit, Refusal, Visit } from "../gate.ts";
import type { InboundPolicy } from "../inbound-policy.ts";

const SCHEME_LENGTH = "spiffe://".length;

const nobody: Peer = strangerConnection({ remoteAddress: undefined }, "plaintext").peer;

/** Asks the access policies, and makes the permit without which no handler runs. */
export const authorize =
  (current: { readonly policy: InboundPolicy | undefined }): Gate =>
  (visit) => {
    const policy = current.policy;
    const peer = visit.peer ?? nobody;
    if (policy === undefined || !policy.hasAccess) {
      visit.permit = { by: "default", peer };
      return undefined;
    }
    const verdict = policy.decide(questionOf(visit, peer));
    if (!verdict.allowed) return denied(visit, peer, verdict);
    visit.permit = { by: grantOf(verdict.by), peer };
    return undefined;
  };

const questionOf = (visit: Visit, peer: Peer): AccessQuestion => {
  if (peer.spiffeId === undefined) return { method: visit.method, path: visit.path };
  const principal = peer.spiffeId.slice(SCHEME_LENGTH);
  return peer.namespace === undefined
    ? { principal, method: visit.method, path: visit.path }
    : { principal, namespace: peer.namespace, method: visit.method, path: visit.path };
};

const ruleMark = " rule ";

/** The verdict names its rule as `Access/default/reviews rule 0`, or says why none was needed. */
const grantOf = (by: string): Permit["by"] => {
  const mark = by.indexOf(ruleMark);
  return mark < 0 || !by.startsWith("Access/")
    ? "default"
    : { policy: by.slice(0, mark), rule: by.slice(mark + ruleMark.length) };
};

const denied = (visit: Visit, peer: Peer, verdict: Extract<AccessVerdict, { allowed: false }>): Refusal => {
  const who = peer.spiffeId ?? "a caller without identity";
  const what = `${visit.method} ${visit.path}`;
  if (verdict.policy === undefined) {
    return {
      code: "ACCESS_DENIED",
      detail: `no rule allows ${what} to ${who}; considered: ${verdict.considered.join(", ")}`,
    };
  }
  return {
    code: "ACCESS_DENIED",
    detail: `${verdict.policy} rule ${verdict.rule ?? "0"} denies ${what} to ${who}`,
    policy: verdict.policy,
    ...(verdict.rule === undefined ? {} : { rule: verdict.rule }),
  };
};
