import type { ServiceKey } from "@tulle/policy";
import type { Acknowledgement, MemberStatus, ReportedCaller, Revision } from "@tulle/protocol";

/** Who called one member without an identity. */
export interface MemberCallers {
  /** The member's id. */
  readonly member: string;
  readonly service: ServiceKey;
  /** `lastSeenMs` by this server's wall clock. */
  readonly callers: readonly (Omit<ReportedCaller, "lastSeenAgoMs"> & { readonly lastSeenMs: number })[];
}

/** The members as the admin API sees them. */
export interface Members {
  list(): readonly MemberStatus[];
  /** Settles when every connected member that is sent policy has acknowledged or refused the revision, or after `timeoutMs`. */
  acknowledgement(revision: Revision, timeoutMs: number): Promise<Acknowledgement>;
  /**
   * Asks members to renew their certificates, each at random within `withinMs`, or at once; returns the ids that were asked.
   */
  renew(memberId?: string, withinMs?: number): readonly string[];
  /** Who called the connected members without an identity, as they reported it. */
  plaintextCallers(): readonly MemberCallers[];
}
