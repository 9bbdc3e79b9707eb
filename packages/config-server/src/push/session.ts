import {
  type CertificateRequest,
  decodeMemberMessage,
  ENROLL_TIMEOUT_MS,
  encodeMessage,
  HELLO_TIMEOUT_MS,
  type Hello,
  type MemberMessage,
  type MemberStatus,
  negotiate,
  PLAINTEXT_CALLERS_FEATURE,
  ProtocolError,
  type RefusalCode,
  type ServerMessage,
  type Stream,
  streams,
} from "@tulle/protocol";
import type { Timer } from "@tulle/time";
import type { RawData, WebSocket } from "ws";
import type { RevocationList } from "../authority/revocations.ts";
import { EnrollmentRefused, type MemberIdentity } from "../enrollment/enrollment.ts";
import type { Tenancy } from "../registry/registry.ts";
import type { MemberCallers } from "./members.ts";
import { MAX_BUFFERED_BYTES, MAX_STALL_MS, Outbox } from "./outbox.ts";
import { PendingRequests } from "./pending-requests.ts";
import { closeCodeOf, closeCodes } from "./refusal.ts";
import { certificateBudget, withdraw } from "./request-budget.ts";
import { type ServedMember, servedMember, statusOf } from "./served-member.ts";
import type { SessionHost } from "./session-host.ts";
import { refuseToGoBack, type StreamProgress } from "./stream-progress.ts";

/** What this server can do beside the protocol's version. */
const FEATURES = ["gzip", PLAINTEXT_CALLERS_FEATURE] as const;

/**
 * - `awaiting-hello`: connected and authenticated, but silent. Any other message than hello, or 5 s of silence, end it.
 * - `enrolling`: welcomed by a join token, without a certificate of this connection. A token may be stolen, and one that was
 *   used may not be used again, which only the certificate request tells: until it is answered the member is sent nothing
 *   but trust, is not in the member book, replaces nobody and registers nothing. What it subscribes to is remembered. A
 *   minute without a certificate ends it: whoever only holds connections open does not keep them.
 * - `serving`: a member, by its certificate.
 * - `ended`: refused, replaced, gone, or told goodbye. Nothing is read any more; what is left is the closing handshake.
 */
type State =
  | { readonly state: "awaiting-hello"; readonly timeout: Timer }
  | { readonly state: "enrolling"; readonly member: ServedMember; readonly timeout: Timer }
  | { readonly state: "serving"; readonly member: ServedMember; readonly tenancy: Tenancy }
  | { readonly state: "ended" };

/** One member's connection. */
export class Session {
  readonly identity: MemberIdentity;
  readonly #socket: WebSocket;
  readonly #host: SessionHost;
  readonly #outbox: Outbox;
  readonly #requests: PendingRequests;
  #state: State;
  #heardMs: number;

  constructor(socket: WebSocket, identity: MemberIdentity, host: SessionHost) {
    this.identity = identity;
    this.#socket = socket;
    this.#host = host;
    this.#outbox = new Outbox(socket, host.clock);
    this.#requests = new PendingRequests({
      counters: host.counters,
      say: (message) => this.#say(message),
      failed: (error) => host.failed(error),
    });
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

  /** Undefined until the member is served. */
  get hello(): Hello | undefined {
    return this.#state.state === "serving" ? this.#state.member.hello : undefined;
  }

  /** Where the member stands in a stream. Undefined when it is not served. */
  progress(stream: Stream): StreamProgress | undefined {
    return this.#state.state === "serving" ? this.#state.member.streams.progress(stream) : undefined;
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

  /** Who called the member without an identity. Undefined when it is not served. */
  get callers(): MemberCallers | undefined {
    if (this.#state.state !== "serving") return undefined;
    const { hello, streams: own, callers } = this.#state.member;
    return { member: hello.member.id, service: own.own, callers };
  }

  /** Sends the member what it lacks of a stream, if it is served and can take something now. */
  advance(stream: Stream): void {
    const state = this.#state;
    if (state.state === "serving" || (state.state === "enrolling" && stream === "trust")) {
      state.member.streams.advance(stream);
    }
  }

  /** Whether the certificate that it showed, the last one that it got, or its identity is refused by now. */
  isRevoked(refuses: RevocationList["refuses"]): boolean {
    const { spiffeId, certificate } = this.identity;
    const got = "member" in this.#state ? this.#state.member.certificate : undefined;
    return [certificate, got].some((each) => refuses({ serial: each?.serial, spiffeId }));
  }

  /** Asks the member to renew its certificate, at random within a time or at once. */
  askToRenew(withinMs: number | undefined): void {
    this.#say({ type: "renew", ...(withinMs === undefined ? {} : { withinMs }) });
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
    this.#guarded(() => {
      if (isBinary) throw new ProtocolError("binary-frame", "a binary frame; every message is text");
      const message = decodeMemberMessage(String(data));
      if (this.#state.state === "awaiting-hello") this.#greet(message, this.#state.timeout);
      else if (this.#state.state !== "ended") this.#answer(message, this.#state.member);
    });
  }

  /** What the member or we do wrong in `work` ends the connection. */
  #guarded(work: () => void): void {
    try {
      work();
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
    const protocol = negotiate(hello.protocol, this.#host.versions);
    const { namespace } = hello.member;
    if (namespace !== this.identity.namespace) {
      throw new ProtocolError(
        "identity-mismatch",
        `${this.identity.spiffeId} is no identity of namespace ${namespace}, which the hello names`,
      );
    }
    for (const stream of streams) refuseToGoBack(stream, hello.held[stream], this.#host.published.revision(stream));
    const { clock, published, counters } = this.#host;
    const member = servedMember(hello, protocol, clock, { published, outbox: this.#outbox, counters });
    member.certificate = this.identity.certificate;
    if (this.identity.by === "certificate") this.#serve(member);
    else this.#state = { state: "enrolling", member, timeout: this.#enrollTimeout() };
    timeout.cancel();
    this.#say({
      type: "welcome",
      protocol,
      features: FEATURES,
      software: this.#host.software,
      spiffeId: this.identity.spiffeId,
      pingIntervalMs: this.#host.pingIntervalMs,
      wallClockMs: clock.wallNow(),
    });
    this.#advanceAll();
  }

  #enrollTimeout(): Timer {
    return this.#host.clock.after(ENROLL_TIMEOUT_MS, () =>
      this.refuse("enroll-timeout", `no certificate within ${ENROLL_TIMEOUT_MS} ms of a connection by token`),
    );
  }

  /** From here on the member is one. @throws ProtocolError `identity-mismatch` when its id belongs to another identity. */
  #serve(member: ServedMember): void {
    const { hello } = member;
    const { spiffeId, namespace, serviceAccount } = this.identity;
    this.#host.admit(this, hello);
    const tenancy = this.#host.registry.attach({ memberId: hello.member.id, spiffeId, namespace, serviceAccount });
    this.#state = { state: "serving", member, tenancy };
  }

  #advanceAll(): void {
    for (const stream of streams) this.advance(stream);
    if (this.#state.state === "serving") this.#host.progressed(this);
  }

  #answer(message: MemberMessage, member: ServedMember): void {
    switch (message.type) {
      case "hello":
        throw new ProtocolError("wrong-order", "a second hello");
      case "subscribe":
        member.streams.subscribe(message.add, message.remove);
        this.advance("endpoints");
        this.advance("policy");
        break;
      case "ack":
      case "nack":
        member.streams.answered(message);
        this.advance(message.stream);
        if (message.stream === "policy") this.#host.progressed(this);
        break;
      case "register":
        this.#carryOut(message.id, async (tenancy) => {
          await tenancy.register(message);
          // "Done" means that whoever asks from now on finds the instance.
          await this.#host.settled();
        });
        break;
      case "withdraw":
        this.#carryOut(message.id, (tenancy) => tenancy.withdraw(message));
        break;
      case "certificate-request":
        this.#requests.answer(message.id, () => this.#issue(member, message));
        break;
      case "plaintext-callers": {
        const nowMs = this.#host.clock.wallNow();
        member.callers = message.callers.map(({ lastSeenAgoMs, ...caller }) => ({
          ...caller,
          lastSeenMs: nowMs - lastSeenAgoMs,
        }));
        break;
      }
      case "goodbye":
        this.#leave();
    }
  }

  #carryOut(id: number, work: (tenancy: Tenancy) => Promise<void>): void {
    const state = this.#state;
    this.#requests.answer(id, async () => {
      if (state.state !== "serving") {
        throw new ProtocolError(
          "unauthenticated",
          "a join token opens nothing but a certificate-request: ask for a certificate first, and again for this",
        );
      }
      await work(state.tenancy);
      this.#say({ type: "done", id });
    });
  }

  async #issue(member: ServedMember, { id, csr }: CertificateRequest): Promise<void> {
    const left = withdraw(member.certificates, certificateBudget, this.#host.clock.now());
    if (left === undefined) {
      throw new ProtocolError("too-many", "too many certificate requests: ten at once, then one a second are allowed");
    }
    member.certificates = left;
    const issued = await this.#host.enrollment.issue(this.identity, csr).catch((error: unknown) => {
      if (!(error instanceof EnrollmentRefused) || !this.#proofIsOver(error)) throw error;
      // A token that is no good opens nothing else either, and neither does a certificate that has ended.
      this.refuse(error.code, error.message);
    });
    if (issued === undefined) return;
    const { chain } = issued;
    member.certificate = issued;
    this.#host.counters.count("certificates");
    this.#say({ type: "certificate", id, chain });
    if (this.#state.state !== "enrolling") return;
    this.#state.timeout.cancel();
    this.#guarded(() => {
      this.#serve(member);
      this.#advanceAll();
    });
  }

  #proofIsOver({ code }: EnrollmentRefused): boolean {
    return code === "unauthenticated" || (this.#state.state === "enrolling" && code.startsWith("token-"));
  }

  #leave(): void {
    const left = this.#state.state === "serving" ? this.#state.tenancy : undefined;
    this.#end("left");
    Promise.resolve(left?.leave()).then(
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
    if (this.#state.state === "awaiting-hello" || this.#state.state === "enrolling") this.#state.timeout.cancel();
    else if (this.#state.state === "serving" && departed === "lost") this.#state.tenancy.end();
    this.#state = { state: "ended" };
    this.#outbox.clear();
  }

  #say(message: ServerMessage): void {
    this.#outbox.say(encodeMessage(message));
    // Transactions wait for room; answers do not, so this is a member that asks and does not read.
    if (this.#outbox.overfull) this.refuse("slow-reader", `more than ${MAX_BUFFERED_BYTES} bytes wait to be read`);
  }
}

const FAILED_MESSAGE = { code: "internal", message: "the config-server failed: connect again" } as const;

const TOO_LONG = "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH";

const codeOf = (error: Error & { readonly code?: string }): string | undefined => error.code;
