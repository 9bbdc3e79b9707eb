import type { Gate, Refusal } from "../gate.ts";
import type { InboundPolicy } from "../inbound-policy.ts";

const noPolicy: Refusal = { code: "NOT_READY", detail: "the first inbound policy has not arrived yet" };

/** Refuses everything until the first inbound policy is known: before that nobody knows who may come in. */
export const requireReadiness =
  (current: { readonly policy: InboundPolicy | undefined }): Gate =>
  () =>
    current.policy === undefined ? noPolicy : undefined;
