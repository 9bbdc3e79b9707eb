import {
  delta,
  type HeldStream,
  type PreparedResource,
  ProtocolError,
  parseRevision,
  type ResourceName,
  type Revision,
  type Stream,
} from "@tulle/protocol";

/** A transaction on its way to a member. */
export interface SentTransaction {
  readonly revision: Revision;
  readonly full: boolean;
  readonly upserts: readonly PreparedResource[];
  readonly removals: readonly ResourceName[];
}

/** How far one member is in one stream. Immutable. */
export interface StreamProgress {
  /** What the member took last, and what it holds since. */
  readonly revision: Revision | null;
  readonly resources: Readonly<Record<ResourceName, string>>;
  /** Sent and not yet answered; nothing else is sent on the stream until it is. */
  readonly open: SentTransaction | undefined;
  /** What the member refused last and has not made good since. */
  readonly refusal: { readonly revision: Revision; readonly reason: string } | undefined;
}

/** Where a member stands that says hello. */
export const progressOf = (held: HeldStream | undefined): StreamProgress => ({
  revision: held?.revision ?? null,
  resources: held?.resources ?? {},
  open: undefined,
  refusal: undefined,
});

/**
 * A server that answered from an older state than the member has seen could bring a revoked rule back: the member tries again
 * later, here or at another replica.
 *
 * @throws ProtocolError `behind`
 */
export const refuseToGoBack = (stream: Stream, held: HeldStream | undefined, ours: Revision): void => {
  const seen = held?.seen ?? null;
  if (seen === null || seen === ours || !covers(seen, ours)) return;
  throw new ProtocolError(
    "behind",
    `the member has seen ${seen} of ${stream}, this config-server only ${ours}: try again later`,
  );
};

/** Whether a member can be sent something: it has answered what was sent before, and has not refused this very revision. */
export const mayAdvance = ({ open, refusal }: StreamProgress, revision: Revision): boolean =>
  open === undefined && refusal?.revision !== revision;

/**
 * What to send a member now, or `undefined` when it is up to date or cannot be sent anything.
 *
 * Computed from what it holds, so a slow member gets the latest and nothing between. A policy revision is sent even if it
 * changes nothing for the member, so that everybody can say which one it runs; the other streams stay silent then.
 */
export const nextTransaction = (
  stream: Stream,
  progress: StreamProgress,
  revision: Revision,
  wanted: ReadonlyMap<ResourceName, PreparedResource>,
): SentTransaction | undefined => {
  if (!mayAdvance(progress, revision)) return undefined;
  if (progress.revision === null || epochOf(progress.revision) !== epochOf(revision)) {
    return { revision, full: true, upserts: [...wanted.values()], removals: [] };
  }
  const { upserts, removals } = delta(progress.resources, wanted);
  const nothing = upserts.length === 0 && removals.length === 0;
  if (nothing && (stream !== "policy" || progress.revision === revision)) return undefined;
  return { revision, full: false, upserts: upserts.flatMap((name) => wanted.get(name) ?? []), removals };
};

/** The transaction was handed to the connection. */
export const sent = (progress: StreamProgress, transaction: SentTransaction): StreamProgress => ({
  ...progress,
  open: transaction,
});

/** @throws ProtocolError `wrong-order` when nothing is open at that revision. */
export const acknowledged = (stream: Stream, progress: StreamProgress, revision: Revision): StreamProgress => {
  const { upserts, removals, full } = openAt(stream, progress, revision);
  const gone = new Set(removals);
  const kept = full ? [] : Object.entries(progress.resources).filter(([name]) => !gone.has(name));
  const resources = Object.fromEntries([...kept, ...upserts.map(({ name, version }) => [name, version])]);
  return { revision, resources, open: undefined, refusal: ofNewer(progress, revision) };
};

/** @throws ProtocolError `wrong-order` when nothing is open at that revision. */
export const refused = (
  stream: Stream,
  progress: StreamProgress,
  revision: Revision,
  reason: string,
): StreamProgress => {
  openAt(stream, progress, revision);
  return { ...progress, open: undefined, refusal: ofNewer(progress, revision) ?? { revision, reason } };
};

/** A refusal stands while the member is told of older revisions. */
const ofNewer = ({ refusal }: StreamProgress, revision: Revision): StreamProgress["refusal"] =>
  refusal !== undefined && refusal.revision !== revision && covers(refusal.revision, revision) ? refusal : undefined;

/** Whether a position is at or after another of the same epoch; positions of different epochs cannot be compared. */
export const covers = (revision: Revision, other: Revision): boolean => {
  const [a, b] = [parseRevision(revision), parseRevision(other)];
  return a !== undefined && b !== undefined && a.epoch === b.epoch && a.number >= b.number;
};

const openAt = (stream: Stream, { open }: StreamProgress, revision: Revision): SentTransaction => {
  if (open?.revision === revision) return open;
  const state = open === undefined ? "nothing is open" : `${open.revision} is open`;
  throw new ProtocolError("wrong-order", `answer to ${revision} on ${stream}, where ${state}`);
};

const epochOf = (revision: Revision): string | undefined => parseRevision(revision)?.epoch;
