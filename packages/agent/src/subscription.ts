import type { InboundSnapshot, OutboundSnapshot, Revocations, ServiceKey, TrustBundle } from "@tulle/policy";
import {
  type Ack,
  addPart,
  type Begin,
  beginTransaction,
  type Commit,
  commitTransaction,
  emptyStream,
  type Nack,
  type OpenTransaction,
  type Part,
  parseResourceName,
  type ResourceName,
  refused,
  type Stream,
  type StreamState,
  streams,
} from "@tulle/protocol";
import { Watchable } from "@tulle/time";
import { buildBundles, buildInbound, buildOutbound, buildRevocations, unknownOutbound } from "./build-snapshot.ts";

/** What a policy transaction would make the member run. */
export interface CandidateSnapshot {
  readonly outbound: OutboundSnapshot;
  readonly inbound: InboundSnapshot | undefined;
}

/** Says why a candidate cannot be run, or `undefined` when it can. Throwing is a refusal too. */
export type ValidateSnapshot = (candidate: CandidateSnapshot) => string | undefined;

/** All three streams as they are held. */
export type HeldStreams = Readonly<Record<Stream, StreamState>>;

/** What a member holds before it ever joined. */
export const nothingHeld: HeldStreams = { policy: emptyStream, endpoints: emptyStream, trust: emptyStream };

/** Longest reason of a NACK, in characters. */
const MAX_REASON = 2_000;

/**
 * The three streams of a member: takes their transactions one by one, keeps the last good of each, and makes from them what
 * the client, the server and the credentials work with. Knows nothing of connections.
 */
export class Subscription {
  readonly outbound: Watchable<OutboundSnapshot>;
  readonly inbound: Watchable<InboundSnapshot | undefined>;
  readonly bundles: Watchable<readonly TrustBundle[]>;
  readonly revocations: Watchable<Revocations | undefined>;
  /** Counts the commits of all streams, taken or refused: each one may have changed what is held. */
  readonly commits: Watchable<number> = new Watchable(0);
  /** The last policy that was refused and has not been made good since. */
  refusal: Nack | undefined;
  readonly #own: ServiceKey;
  readonly #validate: ValidateSnapshot;
  readonly #open = new Map<Stream, OpenTransaction>();
  #held: HeldStreams = nothingHeld;

  constructor(own: ServiceKey, validate: ValidateSnapshot = () => undefined) {
    this.#own = own;
    this.#validate = validate;
    this.outbound = new Watchable(unknownOutbound);
    this.inbound = new Watchable<InboundSnapshot | undefined>(undefined);
    this.bundles = new Watchable<readonly TrustBundle[]>([]);
    this.revocations = new Watchable<Revocations | undefined>(undefined);
  }

  get held(): HeldStreams {
    return this.#held;
  }

  /** Whether a stream has ever been taken, now or in an earlier life. */
  knows(stream: Stream): boolean {
    return this.#held[stream].revision !== null;
  }

  /** Whether all that a call to a service needs has come: its policy, and its endpoints or the word that it has none. */
  covers(service: ServiceKey): boolean {
    return (
      this.outbound.current.services.has(service) &&
      [...this.#held.endpoints.resources.keys()].some((name) => {
        const reference = parseResourceName(name);
        return reference?.kind === "endpoints" && reference.service === service;
      })
    );
  }

  /** Begins with what an earlier life of the member held. @returns why it cannot be run, if so; then nothing is held. */
  restore(held: HeldStreams): string | undefined {
    const candidate = this.#candidate(held, new Set(streams.flatMap((stream) => [...held[stream].resources.keys()])));
    const reason = this.#reasonAgainst(candidate);
    if (reason === undefined) this.#swap(held, candidate);
    return reason;
  }

  /**
   * Takes the next message of a stream.
   *
   * @param bytes of the message as received.
   * @returns what to answer, after a commit.
   * @throws ProtocolError when the order or the bounds of transactions are broken: the connection is of no use any more.
   */
  receive(message: Begin | Part | Commit, bytes: number): Ack | Nack | undefined {
    const { stream } = message;
    const open = this.#open.get(stream);
    if (message.type === "begin") {
      this.#open.set(stream, beginTransaction(this.#held[stream], open, message));
      return undefined;
    }
    if (message.type === "part") {
      this.#open.set(stream, addPart(open, message, bytes));
      return undefined;
    }
    const committed = commitTransaction(this.#held[stream], open, message);
    this.#open.delete(stream);
    if (committed.outcome === "refused") {
      return this.#refuse(committed.state, nack(message, committed.reason, committed.resource));
    }
    const next = { ...this.#held, [stream]: committed.state };
    const candidate = this.#candidate(next, new Set(committed.changed));
    const reason = stream === "policy" ? this.#reasonAgainst(candidate) : undefined;
    if (reason !== undefined) {
      return this.#refuse(refused(this.#held[stream], message.revision), nack(message, reason));
    }
    // What was refused stands while older revisions are told of.
    if (stream === "policy" && committed.state.seen === message.revision) this.refusal = undefined;
    this.#swap(next, candidate);
    return { type: "ack", stream, revision: message.revision };
  }

  /** Forgets transactions that the connection did not live to complete. */
  connectionLost(): void {
    this.#open.clear();
  }

  close(): void {
    for (const watchable of [this.outbound, this.inbound, this.bundles, this.revocations, this.commits])
      watchable.close();
  }

  #candidate(held: HeldStreams, changed: ReadonlySet<ResourceName>): CandidateSnapshot {
    const sources = { ...held, changed, own: this.#own };
    return {
      outbound: buildOutbound(this.outbound.current, sources),
      inbound: buildInbound(this.inbound.current, sources),
    };
  }

  #reasonAgainst(candidate: CandidateSnapshot): string | undefined {
    try {
      return this.#validate(candidate);
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  #refuse(state: StreamState, answer: Nack): Nack {
    if (answer.stream === "policy" && state.seen === answer.revision) this.refusal = answer;
    this.#held = { ...this.#held, [answer.stream]: state };
    this.commits.set(this.commits.current + 1);
    return answer;
  }

  #swap(held: HeldStreams, candidate: CandidateSnapshot): void {
    const trustChanged = held.trust.resources !== this.#held.trust.resources;
    this.#held = held;
    // Trust first: whoever hears of a new policy may at once dial peers of a new trust domain.
    if (trustChanged) {
      this.revocations.set(buildRevocations(this.revocations.current, held.trust));
      this.bundles.set(buildBundles(this.bundles.current, held.trust));
    }
    this.inbound.set(candidate.inbound);
    this.outbound.set(candidate.outbound);
    this.commits.set(this.commits.current + 1);
  }
}

const nack = ({ stream, revision }: Commit, reason: string, resource?: ResourceName): Nack => ({
  type: "nack",
  stream,
  revision,
  reason: reason.slice(0, MAX_REASON),
  ...(resource === undefined ? {} : { resource }),
});
