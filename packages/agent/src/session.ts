import {
  type Ack,
  type Begin,
  type CertificateIssued,
  type CertificateRequest,
  type Commit,
  type Done,
  decodeServerMessage,
  encodeMessage,
  type MemberMessage,
  type Nack,
  type Part,
  ProtocolError,
  type RefusalCode,
  type Refused,
  type Register,
  type Welcome,
  type Withdraw,
} from "@tulle/protocol";
import type { Clock, Timer } from "@tulle/time";
import { ConnectFailure } from "./connect-failure.ts";
import { type Connection, type ConnectionListener, openConnection, type Upgrade } from "./connection.ts";

/** What the member asks and waits for an answer to. */
export type MemberRequest = Omit<Register, "id"> | Omit<Withdraw, "id"> | Omit<CertificateRequest, "id">;

/** What a session hands on. */
export interface SessionListener {
  /** A message of a stream; what comes back is answered. @throws ProtocolError to end the connection. */
  stream(message: Begin | Part | Commit, bytes: number): Ack | Nack | undefined;
  /** The config-server asks for a renewal, at random within a time. */
  renew(withinMs: number): void;
}

/** The config-server's no to one request. */
export class RequestRefused extends Error {
  override readonly name: string = "RequestRefused";
  readonly code: RefusalCode;

  constructor(refused: Refused) {
    super(`${refused.code}: ${refused.message}`);
    this.code = refused.code;
  }
}

/** Requests that may wait for an answer at one time. */
const MAX_WAITING = 1_000;

/** How long an answer may take. */
const ANSWER_TIMEOUT_MS = 30_000;

interface Waiting {
  readonly resolve: (answer: Done | CertificateIssued) => void;
  readonly reject: (error: Error) => void;
  readonly timer: Timer;
}

/** One connection to the config-server from its welcome to its end. */
export class Session {
  readonly welcome: Welcome;
  /** Settles with the reason when the connection is over; never rejects. */
  readonly ended: Promise<ConnectFailure>;
  readonly #conversation: Conversation;

  private constructor(welcome: Welcome, conversation: Conversation) {
    this.welcome = welcome;
    this.ended = conversation.ended;
    this.#conversation = conversation;
  }

  /**
   * Upgrades, says hello and waits for the welcome.
   *
   * @param hello encoded.
   * @throws ConnectFailure
   */
  static async open(upgrade: Upgrade, hello: string, listener: SessionListener): Promise<Session> {
    const conversation = new Conversation(upgrade.clock, listener);
    const connection = await openConnection(upgrade, conversation);
    const welcome = await conversation.greet(connection, hello, upgrade);
    connection.expectPings(welcome.pingIntervalMs);
    return new Session(welcome, conversation);
  }

  send(message: MemberMessage): void {
    this.#conversation.send(message);
  }

  /**
   * Asks and waits.
   *
   * @throws RequestRefused when the server says no.
   * @throws ConnectFailure when the connection ends or the answer does not come.
   */
  request(message: MemberRequest): Promise<Done | CertificateIssued> {
    return this.#conversation.request(message);
  }

  /** Says goodbye and closes. */
  async leave(): Promise<void> {
    this.#conversation.send({ type: "goodbye" });
    this.#conversation.close();
    await this.ended;
  }
}

class Conversation implements ConnectionListener {
  readonly ended: Promise<ConnectFailure>;
  readonly #clock: Clock;
  readonly #listener: SessionListener;
  readonly #waiting = new Map<number, Waiting>();
  #connection: Connection | undefined;
  #welcomed: ((welcome: Welcome) => void) | undefined;
  #isWelcomed = false;
  #lastId = 0;
  #end: (failure: ConnectFailure) => void = () => undefined;
  /** What the server said before it closed. */
  #farewell: ConnectFailure | undefined;

  constructor(clock: Clock, listener: SessionListener) {
    this.#clock = clock;
    this.#listener = listener;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  greet(connection: Connection, hello: string, { address, clock, timeoutMs, signal }: Upgrade): Promise<Welcome> {
    this.#connection = connection;
    return new Promise((resolve, reject) => {
      const timer = clock.after(timeoutMs, () =>
        fail(new ConnectFailure("unreachable", `${address.url} did not answer the hello within ${timeoutMs} ms`)),
      );
      const settle = (): void => {
        timer.cancel();
        signal.removeEventListener("abort", onAbort);
      };
      const fail = (failure: ConnectFailure): void => {
        settle();
        connection.close();
        reject(failure);
      };
      const onAbort = (): void => fail(new ConnectFailure("lost", `the member leaves ${address.url}`));
      signal.addEventListener("abort", onAbort, { once: true });
      void this.ended.then(fail);
      this.#welcomed = (welcome) => {
        settle();
        resolve(welcome);
      };
      connection.send(hello);
    });
  }

  send(message: MemberMessage): void {
    this.#connection?.send(encodeMessage(message));
  }

  close(): void {
    this.#connection?.close();
  }

  request(message: MemberRequest): Promise<Done | CertificateIssued> {
    if (this.#waiting.size >= MAX_WAITING) {
      return Promise.reject(new ConnectFailure("lost", `${MAX_WAITING} requests already wait for the config-server`));
    }
    this.#lastId += 1;
    const id = this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(ANSWER_TIMEOUT_MS, () => {
        this.#waiting.delete(id);
        reject(
          new ConnectFailure(
            "lost",
            `the config-server did not answer a ${message.type} within ${ANSWER_TIMEOUT_MS} ms`,
          ),
        );
      });
      this.#waiting.set(id, { resolve, reject, timer });
      this.send({ ...message, id });
    });
  }

  message(text: string, bytes: number): void {
    const message = decodeServerMessage(text);
    if (message.type === "welcome" ? this.#isWelcomed : !this.#isWelcomed && !mayComeFirst.has(message.type)) {
      throw new ProtocolError(
        "wrong-order",
        `${message.type} ${this.#isWelcomed ? "a second time" : "before the welcome"}`,
      );
    }
    switch (message.type) {
      case "welcome":
        this.#isWelcomed = true;
        this.#welcomed?.(message);
        return;
      case "begin":
      case "part":
      case "commit": {
        const answer = this.#listener.stream(message, bytes);
        if (answer !== undefined) this.send(answer);
        return;
      }
      case "done":
      case "certificate":
        this.#answered(message.id)?.resolve(message);
        return;
      case "refused":
        if (message.id !== undefined) this.#answered(message.id)?.reject(new RequestRefused(message));
        else {
          const why = `the config-server refused: ${message.code}: ${message.message}`;
          // Another certificate may be had at once, with a token; whether it may, the next attempt tells.
          const kind = this.#isWelcomed && message.code === "revoked" ? "lost" : "refused";
          this.#farewell = new ConnectFailure(kind, why, { code: message.code });
          this.close();
        }
        return;
      case "renew":
        this.#listener.renew(message.withinMs ?? 0);
        return;
      case "goodbye":
        this.#farewell = new ConnectFailure("lost", `the config-server says goodbye: ${message.reason}`, {
          retryAfterMs: message.retryAfterMs,
        });
        this.close();
        return;
    }
  }

  closed(failure: ConnectFailure): void {
    const reason = this.#farewell ?? failure;
    for (const { reject, timer } of this.#waiting.values()) {
      timer.cancel();
      reject(reason);
    }
    this.#waiting.clear();
    this.#end(reason);
  }

  /** The request that an answer is for; an answer that comes too late is for none. */
  #answered(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    waiting?.timer.cancel();
    return waiting;
  }
}

const mayComeFirst: ReadonlySet<string> = new Set(["welcome", "refused", "goodbye"]);
