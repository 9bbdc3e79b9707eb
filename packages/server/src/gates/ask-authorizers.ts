import type { AccessAsk } from "@tulle/policy";
import type { ExternalAuthorizers } from "../external-authorizers.ts";
import type { Gate, Refusal, Visit } from "../gate.ts";
import type { InboundPolicy } from "../inbound-policy.ts";
import { VisitQuestion } from "../visit-question.ts";
import { nobody } from "./authorize.ts";

/** Asks those outside whom custom policies name. Each must agree. Answers at once where no rule asks anybody. */
export const askAuthorizers =
  (current: { readonly policy: InboundPolicy | undefined }, outside: ExternalAuthorizers): Gate =>
  (visit) => {
    const policy = current.policy;
    if (policy?.asks === undefined) return undefined;
    const question = new VisitQuestion(visit, visit.peer ?? nobody, policy.trustedProxies);
    // No framework has found a route yet, and a call that may be of one that is asked about is asked about.
    if (policy.namesRoutes) question.routeDoubt = "against";
    const asks = policy.asks(question);
    return asks.length === 0 ? undefined : askAll(asks, policy, visit, outside);
  };

const askAll = async (
  asks: readonly AccessAsk[],
  policy: InboundPolicy,
  visit: Visit,
  outside: ExternalAuthorizers,
): Promise<Refusal | undefined> => {
  for (const ask of asks) {
    const refusal = await outside.ask(ask, policy.authorizers.get(ask.authorizer), visit);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
};
