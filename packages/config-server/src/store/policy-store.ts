import type { Policy, PolicyKey } from "@tulle/policy";
import type { ApplyResult, HistoryEntry, Revision } from "@tulle/protocol";
import type { Watched } from "@tulle/time";

/** All policies at one revision. Immutable. */
export interface PolicyRevision {
  readonly revision: Revision;
  readonly policies: ReadonlyMap<PolicyKey, Policy>;
}

/** What a change does: puts and deletes, all of it or none of it. */
export interface PolicyChangeSet {
  readonly puts: readonly Policy[];
  readonly deletes: readonly PolicyKey[];
  readonly author: string;
  readonly message: string;
}

/** Append-only history of policies over a state store. A revision never changes once it is written. */
export interface PolicyStore {
  /** The newest revision. */
  readonly head: Watched<PolicyRevision>;
  /**
   * Writes a new revision, or answers the present one when nothing would change. `review` sees the whole result before it is
   * written, and again if another writer was faster; what it throws is what the caller gets.
   */
  apply(change: PolicyChangeSet, review: (candidate: ReadonlyMap<PolicyKey, Policy>) => void): Promise<ApplyResult>;
  /** Newest first. */
  history(limit: number): Promise<readonly HistoryEntry[]>;
  /** The content of an earlier revision, by `epoch.number` or number alone. */
  at(revision: string): Promise<PolicyRevision | undefined>;
  close(): Promise<void>;
}
