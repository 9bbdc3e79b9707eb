import type { AccessVerdict, PolicyOrigin } from "@tulle/policy";
import type { AccessNotes } from "../access-notes.ts";
import { strangerConnection } from "../connection.ts";
import type { Gate, Peer, Permit, Refusal, Visit } from "../gate.ts";
import type { InboundPolicy } from "../inbound-policy.ts";
import { VisitPermit } from "../visit-permit.ts";
import { VisitQuestion } from "../visit-question.ts";

/** Who calls, where nobody could be told. */
export const nobody: Peer = strangerConnection({ remoteAddress: undefined }, "plaintext").peer;

/** Asks the access policies, and makes the permit without which no handler runs. */
export const authorize =
  (current: { readonly policy: InboundPolicy | undefined }, notes: Pick<AccessNotes, "audited" | "dryRun">): Gate =>
  (visit) => {
    const policy = current.policy;
    const peer = visit.peer ?? nobody;
    if (policy === undefined || !policy.hasAccess) {
      visit.permit = new VisitPermit("default", peer, visit);
      return undefined;
    }
    const { decide, audits, dryRun, trustedProxies } = policy;
    const question = new VisitQuestion(visit, peer, trustedProxies);
    const conclude = (): Refusal | undefined => {
      const verdict = decide(question);
      if (audits !== undefined) notes.audited(audits(question));
      if (dryRun !== undefined) notes.dryRun(dryRun(question, verdict), visit);
      if (!verdict.allowed) return denied(visit, peer, verdict);
      visit.permit = new VisitPermit(grantOf(verdict.by), peer, visit);
      return undefined;
    };
    if (!policy.namesRoutes) return conclude();
    // What no route could be allowed is refused at once; else the framework finds the route first.
    question.routeDoubt = "for";
    if (!decide(question).allowed) return conclude();
    visit.decideRoute = (found, mount) => {
      question.routeMount = mount;
      // Of a route that nobody can name what refuses is believed, and what allows is not.
      question.routeDoubt = Array.isArray(found) && found.length === 0 ? "against" : undefined;
      const templates = found === undefined || typeof found === "string" ? [found] : found;
      question.route = templates[0];
      let refusal = conclude();
      // Whichever was found must be allowed.
      for (const template of templates.slice(1)) {
        if (refusal !== undefined) return refusal;
        question.route = template;
        refusal = conclude();
      }
      return refusal;
    };
    return undefined;
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
    detail: `${verdict.policy} rule ${verdict.rule ?? "0"} denies ${what} to ${who}${placeOf(verdict.origin)}`,
    policy: verdict.policy,
    ...(verdict.rule === undefined ? {} : { rule: verdict.rule }),
  };
};

/** Where a policy was read from, as the end of a sentence. */
export const placeOf = (origin: PolicyOrigin | undefined): string =>
  origin === undefined ? "" : ` (${origin.file}:${origin.line})`;
