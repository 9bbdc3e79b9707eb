import { type Hello, type MemberStatus, type Revision, type Stream, streams } from "@tulle/protocol";
import type { Clock } from "@tulle/time";
import type { MemberIdentity, ShownCertificate } from "../enrollment/enrollment.ts";
import { MemberStreams, type MemberStreamsParts } from "./member-streams.ts";
import type { MemberCallers } from "./members.ts";
import { certificateBudget, fullBudget, type RequestBudget } from "./request-budget.ts";
import type { StreamProgress } from "./stream-progress.ts";

/** What is known of a member that said hello. */
export interface ServedMember {
  readonly hello: Hello;
  readonly protocol: number;
  /** Wall clock. */
  readonly sinceMs: number;
  readonly streams: MemberStreams;
  certificates: RequestBudget;
  /** What it showed, or got since. */
  certificate: ShownCertificate | undefined;
  /** Who called it without an identity, as it reported last. */
  callers: MemberCallers["callers"];
}

/** A member as it is when it has said hello. */
export const servedMember = (
  hello: Hello,
  protocol: number,
  clock: Clock,
  streamsParts: MemberStreamsParts,
): ServedMember => ({
  hello,
  protocol,
  sinceMs: clock.wallNow(),
  streams: new MemberStreams(hello, streamsParts),
  callers: [],
  certificates: fullBudget(certificateBudget, clock.now()),
  certificate: undefined,
});

/** A member as the admin API tells of it. */
export const statusOf = (
  { hello, protocol, streams: own, certificate }: ServedMember,
  { spiffeId }: MemberIdentity,
  connection: Pick<MemberStatus, "connected" | "sinceMs">,
): MemberStatus => {
  const revisions: Partial<Record<Stream, Revision>> = {};
  const refusals: Partial<Record<Stream, NonNullable<StreamProgress["refusal"]>>> = {};
  for (const stream of streams) {
    const { revision, refusal } = own.progress(stream);
    if (revision !== null) revisions[stream] = revision;
    if (refusal !== undefined) refusals[stream] = refusal;
  }
  return {
    id: hello.member.id,
    service: own.own,
    spiffeId,
    labels: hello.member.labels,
    software: hello.software,
    protocol,
    features: hello.features,
    ...connection,
    revisions,
    refusals,
    subscriptions: [...own.subscriptions],
    ...(certificate === undefined
      ? {}
      : {
          certificateNotAfterMs: certificate.notAfterMs,
          certificateSerial: certificate.serial,
          certificateRoot: certificate.root,
        }),
  };
};
