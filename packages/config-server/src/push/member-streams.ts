import { type ServiceKey, serviceKey } from "@tulle/policy";
import {
  type Ack,
  type Hello,
  type Nack,
  type PreparedResource,
  ProtocolError,
  packTransaction,
  type ResourceName,
  type Revision,
  type Stream,
} from "@tulle/protocol";
import type { Outbox } from "./outbox.ts";
import type { PushCounters } from "./push-counters.ts";
import {
  acknowledged,
  mayAdvance,
  nextTransaction,
  progressOf,
  refused,
  type SentTransaction,
  type StreamProgress,
  sent,
} from "./stream-progress.ts";

/** Services that one member may call. */
const MAX_SUBSCRIPTIONS = 10_000;

/** What is published now, as seen by one member. */
export interface Published {
  revision(stream: Stream): Revision;
  wanted(
    stream: Stream,
    own: ServiceKey,
    subscriptions: Iterable<ServiceKey>,
  ): ReadonlyMap<ResourceName, PreparedResource>;
  /** As {@link wanted} of the policy stream, at a revision that was published lately; `undefined` for others. */
  wantedAt(
    revision: Revision,
    own: ServiceKey,
    subscriptions: Iterable<ServiceKey>,
  ): ReadonlyMap<ResourceName, PreparedResource> | undefined;
}

/** What one member's streams are sent with. */
export interface MemberStreamsParts {
  readonly published: Published;
  readonly outbox: Outbox;
  readonly counters: PushCounters;
}

/** What one member is sent of the three streams. Each goes its own way: at most one transaction of it is open. */
export class MemberStreams {
  /** The member's own service, whose inbound policy it is sent. */
  readonly own: ServiceKey;
  readonly #subscriptions: Set<ServiceKey>;
  readonly #progress: Record<Stream, StreamProgress>;
  /** Whether the member has subscribed to services of which a refused revision kept it from hearing. */
  #catchUp = true;
  readonly #gzip: boolean;
  readonly #parts: MemberStreamsParts;

  constructor({ member, held, subscriptions, features }: Hello, parts: MemberStreamsParts) {
    this.own = serviceKey(member.namespace, member.service);
    this.#subscriptions = new Set(subscriptions);
    this.#progress = {
      policy: progressOf(held.policy),
      endpoints: progressOf(held.endpoints),
      trust: progressOf(held.trust),
    };
    this.#gzip = features.includes("gzip");
    this.#parts = parts;
  }

  get subscriptions(): Iterable<ServiceKey> {
    return this.#subscriptions;
  }

  progress(stream: Stream): StreamProgress {
    return this.#progress[stream];
  }

  /** Sends the member what it lacks of a stream, if it can take something now. */
  advance(stream: Stream): void {
    const { published, outbox, counters } = this.#parts;
    const revision = published.revision(stream);
    const next = mayAdvance(this.#progress[stream], revision)
      ? nextTransaction(
          stream,
          this.#progress[stream],
          revision,
          published.wanted(stream, this.own, this.#subscriptions),
        )
      : this.#catchUpOf(stream);
    if (next === undefined) return;
    this.#progress[stream] = sent(this.#progress[stream], next);
    counters.count("transactions");
    outbox.transfer(stream, packTransaction({ stream, ...next, gzip: this.#gzip }));
  }

  /**
   * A member that refused the present revision runs the one before. What it calls for the first time is told it at that
   * revision, once for each subscription: it must not wait for somebody to correct the policy.
   */
  #catchUpOf(stream: Stream): SentTransaction | undefined {
    const progress = this.#progress[stream];
    if (stream !== "policy" || !this.#catchUp || progress.open !== undefined || progress.revision === null) {
      return undefined;
    }
    this.#catchUp = false;
    const wanted = this.#parts.published.wantedAt(progress.revision, this.own, this.#subscriptions);
    return wanted && nextTransaction(stream, progress, progress.revision, wanted);
  }

  /** Notes the member's answer to a transaction. @throws ProtocolError `wrong-order` when none is open at that revision. */
  answered(answer: Ack | Nack): void {
    const { stream, revision } = answer;
    if (answer.type === "ack") {
      this.#progress[stream] = acknowledged(stream, this.#progress[stream], revision);
      this.#parts.counters.count("acks");
    } else {
      const reason = answer.resource === undefined ? answer.reason : `${answer.resource}: ${answer.reason}`;
      this.#progress[stream] = refused(stream, this.#progress[stream], revision, reason);
      this.#parts.counters.count("nacks");
    }
  }

  /** @throws ProtocolError `too-many` */
  subscribe(add: readonly ServiceKey[], remove: readonly ServiceKey[]): void {
    for (const service of remove) this.#subscriptions.delete(service);
    for (const service of add) this.#subscriptions.add(service);
    if (add.length > 0) this.#catchUp = true;
    if (this.#subscriptions.size > MAX_SUBSCRIPTIONS) {
      throw new ProtocolError("too-many", `a member may subscribe to ${MAX_SUBSCRIPTIONS} services at most`);
    }
  }
}
