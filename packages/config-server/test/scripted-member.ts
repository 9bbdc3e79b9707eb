import {
  type Begin,
  type Commit,
  decodeServerMessage,
  type Hello,
  MESH_PATH,
  type MemberMessage,
  type Part,
  type ResourceName,
  type Revision,
  type ServerMessage,
  type Stream,
} from "@tulle/protocol";
import { WebSocket } from "ws";

/** A transaction as it came. */
export interface Received {
  readonly begin: Begin;
  readonly parts: readonly Part[];
  readonly revision: Revision;
  /** Versions by name. */
  readonly upserts: Readonly<Record<ResourceName, string>>;
  readonly removals: readonly ResourceName[];
}

/** What the server said when it ended the connection. */
export interface Closed {
  readonly code: number;
  readonly reason: string;
}

/** A member that says exactly what the test tells it to. */
export class ScriptedMember {
  readonly socket: WebSocket;
  readonly closed: Promise<Closed>;
  readonly #inbox: ServerMessage[] = [];
  readonly #waiting: (() => void)[] = [];
  #ended = false;

  /** Resolves when the upgrade was accepted. */
  static async connect(port: number, token: string): Promise<ScriptedMember> {
    const member = new ScriptedMember(port, token);
    await new Promise<void>((resolve, reject) => {
      member.socket.once("open", resolve);
      member.socket.once("error", reject);
    });
    return member;
  }

  private constructor(port: number, token: string) {
    this.socket = new WebSocket(`ws://127.0.0.1:${port}${MESH_PATH}`, {
      perMessageDeflate: false,
      headers: { authorization: `Bearer ${token}` },
    });
    this.socket.on("error", () => undefined);
    this.socket.on("message", (data) => {
      this.#inbox.push(decodeServerMessage(String(data)));
      this.#wake();
    });
    this.closed = new Promise((resolve) => {
      this.socket.on("close", (code, reason) => {
        this.#ended = true;
        this.#wake();
        resolve({ code, reason: reason.toString() });
      });
    });
  }

  say(message: MemberMessage): void {
    this.sayText(JSON.stringify(message));
  }

  sayText(text: string): void {
    this.socket.send(text);
  }

  /** The next message of a type; others stay for whoever asks for them. */
  async next<T extends ServerMessage["type"]>(
    type: T,
    fits: (message: Extract<ServerMessage, { type: T }>) => boolean = () => true,
  ): Promise<Extract<ServerMessage, { type: T }>> {
    for (;;) {
      const at = this.#inbox.findIndex(
        (message) => message.type === type && fits(message as Extract<ServerMessage, { type: T }>),
      );
      if (at >= 0) return this.#inbox.splice(at, 1)[0] as Extract<ServerMessage, { type: T }>;
      if (this.#ended) throw new Error(`the connection ended before a ${type}; left: ${JSON.stringify(this.#inbox)}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** The next whole transaction of a stream. */
  async take(stream: Stream): Promise<Received> {
    const begin = await this.next("begin", (message) => message.stream === stream);
    const commit: Commit = await this.next("commit", (message) => message.stream === stream);
    const parts: Part[] = [];
    for (let index = 0; index < commit.parts; index++) {
      parts.push(await this.next("part", (message) => message.stream === stream && message.index === index));
    }
    return {
      begin,
      parts,
      revision: commit.revision,
      upserts: Object.fromEntries(parts.flatMap(({ upserts }) => upserts.map(({ name, version }) => [name, version]))),
      removals: parts.flatMap(({ removals }) => removals),
    };
  }

  ack({ begin }: Received): void {
    this.say({ type: "ack", stream: begin.stream, revision: begin.revision });
  }

  nack({ begin }: Received, reason: string): void {
    this.say({ type: "nack", stream: begin.stream, revision: begin.revision, reason });
  }

  /** Takes and acknowledges. */
  async accept(stream: Stream): Promise<Received> {
    const received = await this.take(stream);
    this.ack(received);
    return received;
  }

  /** Settles when the server has read everything said before: it answers a withdrawal of nothing. */
  async settled(): Promise<void> {
    const id = this.#marker++;
    this.say({ type: "withdraw", id, service: "default/none", endpointId: "none", state: "gone" });
    await this.next("done", (message) => message.id === id);
  }

  /** What came and was not asked for. */
  get unread(): readonly ServerMessage[] {
    return this.#inbox;
  }

  #marker = 1_000_000;

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/** A good hello, for the service `default/reviews` unless told otherwise. */
export const helloOf = (id: string, more: Partial<Hello> = {}): Hello => ({
  type: "hello",
  protocol: { min: 1, max: 1 },
  features: ["gzip"],
  software: "scripted/1",
  member: { id, namespace: "default", service: "reviews", labels: { version: "v1" } },
  held: {},
  subscriptions: [],
  ...more,
});

/** What a member would say it holds after a transaction on an empty stream. */
export const heldAfter = ({ revision, upserts }: Received): NonNullable<Hello["held"]["policy"]> => ({
  revision,
  seen: revision,
  resources: upserts,
});
