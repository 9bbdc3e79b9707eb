import { type ServiceKey, serviceKey } from "@tulle/policy";
import { type Hello, type MemberStatus, type Revision, type Stream, streams } from "@tulle/protocol";
import type { Clock } from "@tulle/time";
import type { MemberIdentity } from "../enrollment/enrollment.ts";
import type { Tenancy } from "../registry/registry.ts";
import { certificateBudget, fullBudget, type RequestBudget } from "./request-budget.ts";
import { progressOf, type StreamProgress } from "./stream-progress.ts";

/** What is known of a member that said hello. */
export interface ServedMember {
  readonly hello: Hello;
  readonly protocol: number;
  /** The member's own service, whose inbound policy it is sent. */
  readonly own: ServiceKey;
  readonly tenancy: Tenancy;
  /** Wall clock. */
  readonly sinceMs: number;
  readonly subscriptions: Set<ServiceKey>;
  readonly progress: Record<Stream, StreamProgress>;
  /** Requests that wait for their answer. */
  pendingRequests: number;
  certificates: RequestBudget;
  certificateNotAfterMs: number | undefined;
}

/** A member as it is when it has said hello. */
export const servedMember = (hello: Hello, protocol: number, tenancy: Tenancy, clock: Clock): ServedMember => ({
  hello,
  protocol,
  own: serviceKey(hello.member.namespace, hello.member.service),
  tenancy,
  sinceMs: clock.wallNow(),
  subscriptions: new Set(hello.subscriptions),
  progress: {
    policy: progressOf(hello.held.policy),
    endpoints: progressOf(hello.held.endpoints),
    trust: progressOf(hello.held.trust),
  },
  pendingRequests: 0,
  certificates: fullBudget(certificateBudget, clock.now()),
  certificateNotAfterMs: undefined,
});

/** A member as the admin API tells of it. */
export const statusOf = (
  { hello, own, protocol, progress, subscriptions, certificateNotAfterMs }: ServedMember,
  { spiffeId }: MemberIdentity,
  connection: Pick<MemberStatus, "connected" | "sinceMs">,
): MemberStatus => {
  const revisions: Partial<Record<Stream, Revision>> = {};
  const refusals: Partial<Record<Stream, NonNullable<StreamProgress["refusal"]>>> = {};
  for (const stream of streams) {
    const { revision, refusal } = progress[stream];
    if (revision !== null) revisions[stream] = revision;
    if (refusal !== undefined) refusals[stream] = refusal;
  }
  return {
    id: hello.member.id,
    service: own,
    spiffeId,
    labels: hello.member.labels,
    software: hello.software,
    protocol,
    ...connection,
    revisions,
    refusals,
    subscriptions: [...subscriptions],
    ...(certificateNotAfterMs === undefined ? {} : { certificateNotAfterMs }),
  };
};
