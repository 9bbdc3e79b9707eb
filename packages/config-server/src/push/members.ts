import type { Acknowledgement, MemberStatus, Revision } from "@tulle/protocol";

/** The members as the admin API sees them. */
export interface Members {
  list(): readonly MemberStatus[];
  /** Settles when every connected member that is sent policy has acknowledged or refused the revision, or after `timeoutMs`. */
  acknowledgement(revision: Revision, timeoutMs: number): Promise<Acknowledgement>;
  /**
   * Asks members to renew their certificates, each at random within `withinMs`, or at once; returns the ids that were asked.
   */
  renew(memberId?: string, withinMs?: number): readonly string[];
}
