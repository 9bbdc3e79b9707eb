import type { ServiceKey } from "@tulle/policy";
import {
  type CertificateIssued,
  type CertificateRequest,
  type Done,
  decodeMemberMessage,
  encodeMessage,
  HELLO_TIMEOUT_MS,
  type Hello,
  type MemberMessage,
  type MemberStatus,
  negotiate,
  type PreparedResource,
  ProtocolError,
  packTransaction,
  type RefusalCode,
  type Register,
  type ResourceName,
  type Revision,
  type ServerMessage,
  type Stream,
  streams,
  type Withdraw,
} from "@tulle/protocol";
import type { Clock, Timer } from "@tulle/time";
import type { RawData, WebSocket } from "ws";
import { type Enrollment, EnrollmentRefused, type MemberIdentity } from "../enrollment/enrollment.ts";
import { RegistrationRefused } from "../registry/registration.ts";
import type { Registry } from "../registry/registry.ts";
import { MAX_BUFFERED_BYTES, MAX_STALL_MS, Outbox } from "./outbox.ts";
import type { PushCounters } from "./push-counters.ts";
import { closeCodeOf, closeCodes } from "./refusal.ts";
import { certificateBudget, withdraw } from "./request-budget.ts";
import { type ServedMember, servedMember, statusOf } from "./served-member.ts";
import {
  acknowledged,
  mayAdvance,
  nextTransaction,
  refused,
  refuseToGoBack,
  type StreamProgress,
  sent,
} from "./stream-progress.ts";

/** Requests of one member that wait for their answer; more are refused. */
const MAX_PENDING_REQUESTS = 128;

/** Services that one member may call. */
const MAX_SUBSCRIPTIONS = 10_000;

/** What this server can do beside the protocol's version. */
const FEATURES = ["gzip"] as const;

/** What is published now, as seen by one member. */
export interface Published {
  revision(stream: Stream): Revision;
  wanted(
    stream: Stream,
    own: ServiceKey,
    subscriptions: Iterable<ServiceKey>,
  ): ReadonlyMap<ResourceName, PreparedResource>;
}

/** What a session needs of the server that it belongs to. */
export interface SessionHost {
  readonly clock: Clock;
  readonly enrollment: Enrollment;
  readonly registry: Registry;
  readonly published: Published;
  readonly counters: PushCounters;
  readonly pingIntervalMs: number;
  readonly software: string;
  /**
   * Takes the member in, in place of an earlier session of its own.
   *
   * @throws ProtocolError `identity-mismatch` when its id belongs to another identity.
   */
  admit(session: Session, hello: Hello): void;
  /** The member took or refused a policy, or came. */
  progressed(session: Session): void;
  ended(session: Session, departed: "left" | "lost"): void;
  /** Something failed that is not the member's fault. */
  failed(error: unknown): void;
}

/**
 * - `awaiting-hello`: connected and proven, but silent. Any other message than hello, or 5 s of silence, end it.
 * - `serving`: welcomed. Each stream goes its own way: at most one transaction is open, the next is computed when it is
 *   answered.
 * - `ended`: refused, replaced, gone, or told goodbye. Nothing is read any more; what is left is the closing handshake.
 */
type State =
  | { readonly state: "awaiting-hello"; readonly timeout: Timer }
  | { readonly state: "serving"; readonly member: ServedMember }
  | { readonly state: "ended" };

/** One member's connection. */
export class Session {
  readonly identity: MemberIdentity;
  readonly #socket: WebSocket;
  readonly #host: SessionHost;
  readonly #outbox: Outbox;
  #state: State;
  #heardMs: number;

  constructor(socket: WebSocket, identity: MemberIdentity, host: SessionHost) {
    this.identity = identity;
    this.#socket = socket;
    this.#host = host;
    this.#outbox = new Outbox(socket, host.clock);
    this.#heardMs = host.clock.now();
    const timeout = host.clock.after(HELLO_TIMEOUT_MS, () =>
      this.refuse("hello-timeout", `no hello within ${HELLO_TIMEOUT_MS} ms of the connection`),
    );
    this.#state = { state: "awaiting-hello", timeout };
    socket.on("message", (data, isBinary) => this.#receive(data, isBinary));
    socket.on("pong", () => this.#heard());
    // A message that ws itself refused is closed by ws with its own code (1009 for one far too large); `close` follows.
    socket.on("error", (error) =>
      this.#host.counters.count(codeOf(error) === TOO_LONG ? "refused.too-large" : "socketErrors"),
    );
    socket.on("close", () => this.#end("lost"));
  }

  /** Undefined until the member said hello. */
  get hello(): Hello | undefined {
    return this.#state.state === "serving" ? this.#state.member.hello : undefined;
  }

  /** Where the member stands in a stream. Undefined when it is not served. */
  progress(stream: Stream): StreamProgress | undefined {
    return this.#state.state === "serving" ? this.#state.member.progress[stream] : undefined;
  }

  /** How the member is told of: as connected, or as lost just now. Undefined when it is not served. */
  status(connected: boolean): MemberStatus | undefined {
    if (this.#state.state !== "serving") return undefined;
    const { member } = this.#state;
    return statusOf(member, this.identity, {
      connected,
      sinceMs: connected ? member.sinceMs : this.#host.clock.wallNow(),
    });
  }

  /** Sends the member what it lacks of a stream, if it can take something now. */
  advance(stream: Stream): void {
    if (this.#state.state !== "serving") return;
    const { member } = this.#state;
    const revision = this.#host.published.revision(stream);
    if (!mayAdvance(member.progress[stream], revision)) return;
    const wanted = this.#host.published.wanted(stream, member.own, member.subscriptions);
    const next = nextTransaction(stream, member.progress[stream], revision, wanted);
    if (next === undefined) return;
    member.progress[stream] = sent(member.progress[stream], next);
    this.#host.counters.count("transactions");
    this.#outbox.transfer(stream, packTransaction({ stream, ...next, gzip: member.hello.features.includes("gzip") }));
  }

  /** Asks the member to renew its certificate. */
  askToRenew(): void {
    this.#say({ type: "renew" });
  }

  /** Ends the connection for a reason that the member is told. */
  refuse(code: RefusalCode, message: string): void {
    if (this.#state.state === "ended") return;
    this.#host.counters.count(`refused.${code}`);
    this.#end("lost");
    this.#say({ type: "refused", code, message });
    this.#socket.close(closeCodeOf(code), code);
  }

  /** The server goes. */
  goodbye(reason: string, retryAfterMs: number): void {
    this.#say({ type: "goodbye", reason, retryAfterMs });
    this.#end("lost");
    this.#socket.close(closeCodes.serviceRestart, "goodbye");
  }

  /** Asks whether the member is still there; ends the session of one that was silent since the last time, or does not read. */
  beat(): void {
    const aliveMs = Math.max(this.#heardMs, this.#outbox.progressMs);
    if (this.#outbox.stalled) {
      this.refuse("slow-reader", `nothing that was sent has been read for ${MAX_STALL_MS} ms`);
    } else if (this.#host.clock.now() - aliveMs > this.#host.pingIntervalMs) {
      this.#host.counters.count("deadPeers");
      this.#end("lost");
      this.#socket.terminate();
    } else {
      this.#socket.ping();
    }
  }

  #receive(data: RawData, isBinary: boolean): void {
    if (this.#state.state === "ended") return;
    this.#heard();
    this.#host.counters.count("messages");
    try {
      if (isBinary) throw new ProtocolError("binary-frame", "a binary frame; every message is text");
      const message = decodeMemberMessage(String(data));
      if (this.#state.state === "awaiting-hello") this.#greet(message, this.#state.timeout);
      else this.#answer(message, this.#state.member);
    } catch (error) {
      if (!(error instanceof ProtocolError)) this.#host.failed(error);
      const { code, message } = error instanceof ProtocolError ? error : FAILED_MESSAGE;
      this.refuse(code, message);
    }
  }

  #heard(): void {
    this.#heardMs = this.#host.clock.now();
  }

  #greet(hello: MemberMessage, timeout: Timer): void {
    if (hello.type !== "hello") throw new ProtocolError("wrong-order", `${hello.type} before hello`);
    const protocol = negotiate(hello.protocol);
    const { namespace } = hello.member;
    if (namespace !== this.identity.namespace) {
      throw new ProtocolError(
        "identity-mismatch",
        `${this.identity.spiffeId} is no identity of namespace ${namespace}, which the hello names`,
      );
    }
    for (const stream of streams) refuseToGoBack(stream, hello.held[stream], this.#host.published.revision(stream));
    this.#host.admit(this, hello);
    timeout.cancel();
    const { clock, registry } = this.#host;
    const { spiffeId, serviceAccount } = this.identity;
    const tenancy = registry.attach({ memberId: hello.member.id, spiffeId, namespace, serviceAccount });
    const member = servedMember(hello, protocol, tenancy, clock);
    this.#state = { state: "serving", member };
    this.#say({
      type: "welcome",
      protocol,
      features: FEATURES,
      software: this.#host.software,
      spiffeId,
      pingIntervalMs: this.#host.pingIntervalMs,
      wallClockMs: clock.wallNow(),
    });
    for (const stream of streams) this.advance(stream);
    this.#host.progressed(this);
  }

  #answer(message: MemberMessage, member: ServedMember): void {
    const { progress } = member;
    switch (message.type) {
      case "hello":
        throw new ProtocolError("wrong-order", "a second hello");
      case "subscribe":
        this.#subscribe(member, message.add, message.remove);
        break;
      case "ack":
        progress[message.stream] = acknowledged(message.stream, progress[message.stream], message.revision);
        this.#progressed(message.stream, "acks");
        break;
      case "nack": {
        const reason = message.resource === undefined ? message.reason : `${message.resource}: ${message.reason}`;
        progress[message.stream] = refused(message.stream, progress[message.stream], message.revision, reason);
        this.#progressed(message.stream, "nacks");
        break;
      }
      case "register":
        this.#request(member, message.id, () => this.#register(member, message));
        break;
      case "withdraw":
        this.#request(member, message.id, () => this.#withdraw(member, message));
        break;
      case "certificate-request":
        this.#request(member, message.id, () => this.#issue(member, message));
        break;
      case "goodbye":
        this.#leave(member);
    }
  }

  #progressed(stream: Stream, answers: "acks" | "nacks"): void {
    this.#host.counters.count(answers);
    this.advance(stream);
    if (stream === "policy") this.#host.progressed(this);
  }

  #subscribe({ subscriptions }: ServedMember, add: readonly ServiceKey[], remove: readonly ServiceKey[]): void {
    for (const service of remove) subscriptions.delete(service);
    for (const service of add) subscriptions.add(service);
    if (subscriptions.size > MAX_SUBSCRIPTIONS) {
      throw new ProtocolError("too-many", `a member may subscribe to ${MAX_SUBSCRIPTIONS} services at most`);
    }
    this.advance("endpoints");
    this.advance("policy");
  }

  /** Carries out a request and answers it; a refusal is of the request alone, and the connection stays. */
  #request(member: ServedMember, id: number, work: () => Promise<ServerMessage>): void {
    if (member.pendingRequests >= MAX_PENDING_REQUESTS) {
      this.#refuseRequest(id, "too-many", `${MAX_PENDING_REQUESTS} requests wait for their answer already`);
      return;
    }
    member.pendingRequests++;
    work()
      .then(
        (answer) => this.#say(answer),
        (error: unknown) => {
          if (!isRefusal(error)) this.#host.failed(error);
          const { code, message } = isRefusal(error) ? error : FAILED_REQUEST;
          this.#refuseRequest(id, code, message);
        },
      )
      .finally(() => member.pendingRequests--);
  }

  async #register({ tenancy }: ServedMember, message: Register): Promise<Done> {
    await tenancy.register(message);
    return { type: "done", id: message.id };
  }

  async #withdraw({ tenancy }: ServedMember, message: Withdraw): Promise<Done> {
    await tenancy.withdraw(message);
    return { type: "done", id: message.id };
  }

  async #issue(member: ServedMember, { id, csr }: CertificateRequest): Promise<CertificateIssued> {
    const left = withdraw(member.certificates, certificateBudget, this.#host.clock.now());
    if (left === undefined) {
      throw new ProtocolError("too-many", "too many certificate requests: ten at once, then one a second are allowed");
    }
    member.certificates = left;
    const { chain, notAfterMs } = await this.#host.enrollment.issue(this.identity, csr);
    member.certificateNotAfterMs = notAfterMs;
    this.#host.counters.count("certificates");
    return { type: "certificate", id, chain };
  }

  #refuseRequest(id: number, code: RefusalCode, message: string): void {
    this.#host.counters.count(`refused.${code}`);
    this.#say({ type: "refused", id, code, message });
  }

  #leave({ tenancy }: ServedMember): void {
    this.#end("left");
    tenancy.leave().then(
      () => this.#socket.close(closeCodes.normal, "goodbye"),
      (error: unknown) => {
        this.#host.failed(error);
        this.#socket.close(closeCodes.internal, "internal");
      },
    );
  }

  #end(departed: "left" | "lost"): void {
    const { state } = this.#state;
    if (state === "ended") return;
    this.#host.ended(this, departed);
    if (this.#state.state === "awaiting-hello") this.#state.timeout.cancel();
    else if (this.#state.state === "serving" && departed === "lost") this.#state.member.tenancy.end();
    this.#state = { state: "ended" };
    this.#outbox.clear();
  }

  #say(message: ServerMessage): void {
    this.#outbox.say(encodeMessage(message));
    // Transactions wait for room; answers do not, so this is a member that asks and does not read.
    if (this.#outbox.overfull) this.refuse("slow-reader", `more than ${MAX_BUFFERED_BYTES} bytes wait to be read`);
  }
}

const FAILED_REQUEST = { code: "internal", message: "the config-server could not do this now: ask again" } as const;

const FAILED_MESSAGE = { code: "internal", message: "the config-server failed: connect again" } as const;

const isRefusal = (error: unknown): error is RegistrationRefused | EnrollmentRefused | ProtocolError =>
  error instanceof RegistrationRefused || error instanceof EnrollmentRefused || error instanceof ProtocolError;

const TOO_LONG = "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH";

const codeOf = (error: Error & { readonly code?: string }): string | undefined => error.code;
