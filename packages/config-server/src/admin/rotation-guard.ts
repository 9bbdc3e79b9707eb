import type { HeldBack, MemberStatus, Revision } from "@tulle/protocol";
import type { RotationPhase } from "../authority/rotation.ts";

/** What is compared to tell who is not ready for the next step. */
export interface RotationFacts {
  readonly phase: RotationPhase;
  readonly members: readonly MemberStatus[];
  /** The trust stream's present position. */
  readonly trustRevision: Revision;
  /** Id of the root that signs. */
  readonly activeRoot: string;
  /** A member that was lost may show its certificate for so long after it was last seen, milliseconds. */
  readonly longestLeafMs: number;
  /** Wall clock. */
  readonly nowMs: number;
}

/**
 * The members that would be cut off by the next step: before `activate` those that have not taken the new root, before
 * `retire` those that still show a certificate of the old one. A member that was lost counts while its certificate may live:
 * it may only be on the other side of a partition.
 */
export const heldBack = (facts: RotationFacts): readonly HeldBack[] => {
  switch (facts.phase) {
    case "distributing":
      return facts.members.flatMap((member) => withoutNewRoot(member, facts));
    case "activated":
      return facts.members.flatMap((member) => withOldCertificate(member, facts));
    default:
      return [];
  }
};

const withoutNewRoot = (
  member: MemberStatus,
  { trustRevision, longestLeafMs, nowMs }: RotationFacts,
): readonly HeldBack[] => {
  if (member.revisions.trust === trustRevision) return [];
  if (member.connected) {
    const refusal = member.refusals.trust;
    const reason = refusal === undefined ? "has not acknowledged the new root yet" : `refused it: ${refusal.reason}`;
    return [{ member: member.id, reason }];
  }
  const untilMs = member.certificateNotAfterMs ?? member.sinceMs + longestLeafMs;
  if (untilMs <= nowMs) return [];
  return [
    {
      member: member.id,
      reason: `was lost at ${iso(member.sinceMs)} without the new root, and its certificate lives until ${iso(untilMs)}`,
    },
  ];
};

const withOldCertificate = (member: MemberStatus, { activeRoot, nowMs }: RotationFacts): readonly HeldBack[] => {
  const { certificateRoot, certificateNotAfterMs } = member;
  if (certificateRoot === undefined || certificateRoot === activeRoot) return [];
  if (certificateNotAfterMs === undefined || certificateNotAfterMs <= nowMs) return [];
  return [
    {
      member: member.id,
      reason: `shows a certificate of the root ${certificateRoot} until ${iso(certificateNotAfterMs)}`,
    },
  ];
};

const iso = (ms: number): string => new Date(ms).toISOString();
