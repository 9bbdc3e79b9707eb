import "reflect-metadata";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { Pkcs10CertificateRequest } from "@peculiar/x509";
import type { Credentials } from "@tulle/policy";
import {
  configServerIdentity,
  decodeMemberMessage,
  type Hello,
  type MemberMessage,
  packTransaction,
  prepareResource,
  type ResourceValue,
  type Revision,
  type ServerMessage,
  type Stream,
} from "@tulle/protocol";
import type { TestAuthority } from "@tulle/testing";
import { type WebSocket, WebSocketServer } from "ws";
import { pinOf, uriNames } from "../src/config-server-peer.ts";

const member = "spiffe://cluster.local/ns/default/sa/productpage";

/** What the script says of one transaction. */
export interface Said {
  readonly stream: Stream;
  readonly revision: Revision;
  readonly full?: boolean;
  readonly upserts?: Readonly<Record<string, ResourceValue>>;
  readonly removals?: readonly string[];
}

/** One member's connection as the script sees it. */
export class FakeMember {
  readonly received: MemberMessage[] = [];
  readonly socket: WebSocket;
  readonly authorization: string | undefined;
  /** The SPIFFE ID of the client certificate, if one was shown. */
  readonly shown: string | undefined;
  closed: { readonly code: number; readonly reason: string } | undefined;

  constructor(socket: WebSocket, authorization: string | undefined, shown: string | undefined) {
    this.socket = socket;
    this.authorization = authorization;
    this.shown = shown;
  }

  get hello(): Hello | undefined {
    return this.received.find((message): message is Hello => message.type === "hello");
  }

  of<T extends MemberMessage["type"]>(type: T): readonly Extract<MemberMessage, { type: T }>[] {
    return this.received.filter((message): message is Extract<MemberMessage, { type: T }> => message.type === type);
  }

  say(message: ServerMessage | string): void {
    this.socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  transact({ stream, revision, full = false, upserts = {}, removals = [] }: Said): void {
    const prepared = Object.entries(upserts).map(([name, value]) => prepareResource(name, value));
    for (const text of packTransaction({ stream, revision, full, upserts: prepared, removals, gzip: true }))
      this.say(text);
  }
}

/** What the script does where it differs from the usual. */
export interface Script {
  /** @default a welcome */
  onHello?: (from: FakeMember, hello: Hello) => void;
  /** @default a certificate */
  onRequest?: (from: FakeMember, message: Extract<MemberMessage, { readonly id: number }>) => void;
  /** Refuses the upgrade. @default none */
  upgradeRefusal?: { readonly status: number; readonly body: string } | undefined;
  certificateLifeMs?: number;
  wallClockMs?: number;
}

/** A config-server that does what a test tells it, on real TLS and a real WebSocket. */
export class FakeConfigServer {
  readonly members: FakeMember[] = [];
  /** Upgrades that were asked for, with their authorization. */
  readonly upgrades: (string | undefined)[] = [];
  readonly script: Script = {};
  readonly authority: TestAuthority;
  readonly url: string;
  readonly issued: Credentials[] = [];
  readonly #server: Server;

  private constructor(authority: TestAuthority, server: Server) {
    this.authority = authority;
    this.#server = server;
    this.url = `wss://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async start(
    authority: TestAuthority,
    port = 0,
    identity = configServerIdentity("cluster.local"),
  ): Promise<FakeConfigServer> {
    const own = await authority.issue({ spiffeId: identity });
    const server = createServer({
      cert: `${own.certificateChain}\n${authority.root}`,
      key: own.privateKey,
      requestCert: true,
      rejectUnauthorized: false,
    });
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    const fake = new FakeConfigServer(authority, server);
    fake.#accept();
    return fake;
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  /** Of the newest connection. */
  get member(): FakeMember {
    const newest = this.members.at(-1);
    if (newest === undefined) throw new Error("nobody is connected");
    return newest;
  }

  /** A token that no one could verify: the fake does not. */
  token(pin: string = pinOf(new X509Certificate(this.authority.root))): string {
    const encoded = (part: object): string => Buffer.from(JSON.stringify(part)).toString("base64url");
    return `${encoded({ alg: "ES256" })}.${encoded({ pin, trustDomain: "cluster.local" })}.c2ln`;
  }

  async stop(): Promise<void> {
    for (const each of this.members) each.socket.terminate();
    this.#server.closeAllConnections();
    this.#server.close();
    if (this.#server.listening) await once(this.#server, "close");
  }

  #accept(): void {
    const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
    this.#server.on("upgrade", (request, socket, head) => {
      const { authorization } = request.headers;
      this.upgrades.push(authorization);
      const refusal = this.script.upgradeRefusal;
      if (refusal !== undefined) {
        const length = Buffer.byteLength(refusal.body);
        socket.end(
          `HTTP/1.1 ${refusal.status} No\r\nconnection: close\r\ncontent-length: ${length}\r\n\r\n${refusal.body}`,
        );
        return;
      }
      const certificate = (socket as TLSSocket).getPeerX509Certificate();
      sockets.handleUpgrade(request, socket, head, (webSocket) => {
        this.#serve(new FakeMember(webSocket, authorization, certificate && uriNames(certificate)[0]));
      });
    });
  }

  #serve(from: FakeMember): void {
    this.members.push(from);
    from.socket.on("close", (code, reason) => {
      from.closed = { code, reason: reason.toString() };
    });
    from.socket.on("message", (data) => {
      const message = decodeMemberMessage(String(data));
      from.received.push(message);
      if (message.type === "hello") (this.script.onHello ?? this.#welcome).call(this, from, message);
      if ("id" in message) (this.script.onRequest ?? this.#answer).call(this, from, message);
    });
  }

  #welcome(from: FakeMember): void {
    from.say(this.welcome());
  }

  welcome(): ServerMessage {
    return {
      type: "welcome",
      protocol: 1,
      features: [],
      software: "fake/1",
      spiffeId: member,
      pingIntervalMs: 15_000,
      wallClockMs: this.script.wallClockMs ?? Date.now(),
    };
  }

  #answer(from: FakeMember, message: Extract<MemberMessage, { readonly id: number }>): void {
    if (message.type !== "certificate-request") from.say({ type: "done", id: message.id });
    else void this.certify(message.csr).then((chain) => from.say({ type: "certificate", id: message.id, chain }));
  }

  async certify(csr: string, spiffeId: string = member): Promise<string> {
    const publicKey = new Uint8Array(new Pkcs10CertificateRequest(csr).publicKey.rawData);
    const lifetimeMs = this.script.certificateLifeMs ?? 3_600_000;
    const issued = await this.authority.issue({ spiffeId, publicKey, lifetimeMs });
    this.issued.push(issued);
    return issued.certificateChain;
  }
}
