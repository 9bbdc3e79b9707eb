import type { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { type Credentials, isRevoked, parseSpiffeId, type Revocations } from "@tulle/policy";
import { type Clock, describeSkew, MAX_TIMER_MS, type Timer, type Watched } from "@tulle/time";
import { type Connection, provenConnection } from "../connection.ts";
import { type PeerVerdict, parseRoots, type TrustedRoots, verifyPeer } from "../verify-peer.ts";
import { retireConnection } from "./retire-connection.ts";

/** Before a certificate ends, replies close the connection for this long, so that no call meets the end itself. */
const LONGEST_FAREWELL_MS = 5_000;
const FAREWELL_SHARE = 0.1;

/** What is asked of a socket; a session of HTTP/2 on a listener of the service's own shows its socket no other way. */
export interface ProvenSocket
  extends Pick<TLSSocket, "getPeerX509Certificate" | "authorized" | "authorizationError" | "remoteAddress"> {
  once(event: "close", listener: () => void): unknown;
  destroy(): unknown;
}

interface Proven {
  readonly connection: Connection;
  readonly leaf: X509Certificate;
  timer: Timer | undefined;
}

/** One refused connection is told of, not each one of a caller that keeps coming. */
const NOTICE_INTERVAL_MS = 60_000;

/** What watching over peers takes. */
export interface ProvenPeersOptions {
  readonly clock: Clock;
  readonly credentials: Watched<Credentials | undefined>;
  readonly onRetired: () => void;
  /** @default 0 */
  readonly clockSkewMs?: (() => number) | undefined;
  readonly onNotice?: ((text: string) => void) | undefined;
}

/** The mTLS connections of a server: verified when they open, ended when what they proved no longer holds. */
export class ProvenPeers {
  readonly #clock: Clock;
  readonly #credentials: Watched<Credentials | undefined>;
  readonly #onRetired: () => void;
  readonly #clockSkewMs: () => number;
  readonly #onNotice: (text: string) => void;
  readonly #noticedAtMs = new Map<string, number>();
  #meshNames: readonly string[] = [];
  readonly #unsubscribe: () => void;
  readonly #open = new Map<ProvenSocket, Proven>();
  #roots: TrustedRoots;
  #revoked: Revocations | undefined;
  #rootTexts: ReadonlySet<string>;

  constructor({ clock, credentials, onRetired, clockSkewMs, onNotice }: ProvenPeersOptions) {
    this.#clock = clock;
    this.#credentials = credentials;
    this.#onRetired = onRetired;
    this.#clockSkewMs = clockSkewMs ?? (() => 0);
    this.#onNotice = onNotice ?? (() => undefined);
    this.#roots = this.#parse(credentials.current);
    this.#rootTexts = textsOf(credentials.current);
    this.#unsubscribe = credentials.subscribe((next) => this.#trust(next));
  }

  /** Connections that are open and proven. */
  get size(): number {
    return this.#open.size;
  }

  /** What the certificate of a socket proves, without remembering it. */
  verify(socket: ProvenSocket): PeerVerdict {
    const verdict = verifyPeer(
      { leaf: socket.getPeerX509Certificate(), authorized: authorizedOf(socket) },
      this.#roots,
      this.#clock.wallNow(),
      this.#credentials.current?.revoked,
    );
    if (verdict.ok) return verdict;
    const skew = verdict.code === "PEER_EXPIRED" ? describeSkew(this.#clockSkewMs()) : undefined;
    const told = skew === undefined ? verdict : { ...verdict, detail: `${verdict.detail}; ${skew}` };
    this.#notice(told.code, `a connection of ${socket.remoteAddress ?? "a peer that left"} is refused: ${told.detail}`);
    return told;
  }

  /** Watches over a socket that was verified: it ends with its certificate, or when its root is dropped. */
  keep(socket: ProvenSocket, verdict: Extract<PeerVerdict, { ok: true }>): Connection | undefined {
    const own = this.#credentials.current;
    const leaf = socket.getPeerX509Certificate();
    if (own === undefined || leaf === undefined) return undefined;
    const proven: Proven = {
      connection: provenConnection(socket, verdict.spiffeId, own, this.#ownNames(own)),
      leaf,
      timer: undefined,
    };
    this.#open.set(socket, proven);
    socket.once("close", () => {
      proven.timer?.cancel();
      this.#open.delete(socket);
    });
    this.#awaitEnd(socket, proven, verdict.notAfterMs);
    return proven.connection;
  }

  /**
   * Takes the names of the mesh's trust domain, the present one first. Who came under a name that it has no more must leave.
   */
  nameOwn(names: readonly string[]): void {
    if (names.length === this.#meshNames.length && names.every((name, at) => name === this.#meshNames[at])) return;
    this.#meshNames = names;
    this.#roots = this.#parse(this.#credentials.current);
    this.#verifyAgain();
  }

  close(): void {
    this.#unsubscribe();
    for (const { timer } of this.#open.values()) timer?.cancel();
    this.#open.clear();
  }

  #awaitEnd(socket: ProvenSocket, proven: Proven, notAfterMs: number): void {
    const leftMs = notAfterMs - this.#clock.wallNow();
    const farewellMs = Math.min(LONGEST_FAREWELL_MS, leftMs * FAREWELL_SHARE);
    if (leftMs - farewellMs > MAX_TIMER_MS) {
      proven.timer = this.#clock.after(MAX_TIMER_MS, () => this.#awaitEnd(socket, proven, notAfterMs));
      return;
    }
    proven.timer = this.#clock.after(leftMs - farewellMs, () => {
      proven.connection.retiring = true;
      proven.connection.shared?.leave();
      proven.timer = this.#clock.after(farewellMs, () => this.#retire(socket, proven));
    });
  }

  #retire(socket: ProvenSocket, proven: Proven): void {
    proven.timer?.cancel();
    this.#onRetired();
    proven.timer = retireConnection(socket, proven.connection, this.#clock);
  }

  #trust(next: Credentials | undefined): void {
    if (next === undefined) return;
    const texts = textsOf(next);
    const dropped = [...this.#rootTexts].some((text) => !texts.has(text));
    this.#roots = this.#parse(next);
    this.#rootTexts = texts;
    // A renewal drops no root; checking every signature again would stall a server with many connections for nothing.
    if (dropped) this.#verifyAgain();
    if (next.revoked !== undefined && next.revoked !== this.#revoked) this.#endRevoked(next.revoked);
    this.#revoked = next.revoked;
  }

  /** At once, with whatever is under way on them: they are somebody's who must not be answered any more. */
  #endRevoked(revoked: Revocations): void {
    for (const [socket, { connection, leaf }] of [...this.#open]) {
      const spiffeId = connection.peer.spiffeId ?? "";
      if (!isRevoked(revoked, { serial: leaf.serialNumber, spiffeId }, this.#roots.ownNames)) continue;
      this.#onRetired();
      socket.destroy();
    }
  }

  /** There are as many codes as reasons, so what is remembered here is bounded. */
  #notice(code: string, text: string): void {
    // Who shows no certificate is no member that failed, and may well be served.
    if (code === "PEER_ABSENT") return;
    const nowMs = this.#clock.now();
    const before = this.#noticedAtMs.get(code);
    if (before !== undefined && nowMs - before < NOTICE_INTERVAL_MS) return;
    this.#noticedAtMs.set(code, nowMs);
    this.#onNotice(text);
  }

  #parse(credentials: Credentials | undefined): TrustedRoots {
    if (credentials === undefined) return parseRoots([]);
    const names = this.#ownNames(credentials);
    const certified = parseSpiffeId(credentials.spiffeId)?.trustDomain ?? "";
    return parseRoots(credentials.bundles, names, [...names.slice(0, 1), certified]);
  }

  /** A certificate may still name an alias when the mesh has a new name already. */
  #ownNames({ spiffeId }: Credentials): readonly string[] {
    const name = parseSpiffeId(spiffeId)?.trustDomain ?? "";
    return this.#meshNames.includes(name) ? this.#meshNames : [name];
  }

  #verifyAgain(): void {
    for (const [socket, proven] of this.#open) {
      const verdict = verifyPeer({ leaf: proven.leaf, authorized: undefined }, this.#roots, this.#clock.wallNow());
      if (!verdict.ok) this.#retire(socket, proven);
    }
  }
}

const textsOf = (credentials: Credentials | undefined): ReadonlySet<string> =>
  new Set(credentials?.bundles.flatMap(({ trustDomain, roots }) => roots.map((root) => `${trustDomain} ${root}`)));

/** OpenSSL's verdict. Node's types call it an Error; it is the code's text where a server asked for a certificate. */
const authorizedOf = (socket: ProvenSocket): true | string =>
  socket.authorized || String(socket.authorizationError ?? "not authorized");
