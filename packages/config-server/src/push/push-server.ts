import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { TrustBundle } from "@tulle/policy";
import {
  MAX_MEMBER_MESSAGE_BYTES,
  MESH_PATH,
  type RefusalCode,
  type Revision,
  type Stream,
  streams,
  supportedVersions,
  type VersionRange,
} from "@tulle/protocol";
import { type Clock, constant, type Random, type Timer, type Watched } from "@tulle/time";
import { type ServerOptions, WebSocketServer } from "ws";
import type { RevocationList } from "../authority/revocations.ts";
import { type Enrollment, EnrollmentRefused, type Evidence } from "../enrollment/enrollment.ts";
import type { Registry } from "../registry/registry.ts";
import { Publisher } from "../snapshots/publish.ts";
import type { PolicyStore } from "../store/policy-store.ts";
import { MemberBook } from "./member-book.ts";
import type { Members } from "./members.ts";
import { PublishedSnapshots } from "./published-snapshots.ts";
import { PushCounters } from "./push-counters.ts";
import { httpStatusOf } from "./refusal.ts";
import { Session } from "./session.ts";
import type { SessionHost } from "./session-host.ts";

/** How the members' connections are treated. */
export interface PushOptions {
  /** How often members are pinged; one that answers nothing for as long is gone, milliseconds. @default 15,000 */
  readonly pingIntervalMs?: number;
  /** Most connections at a time; more are refused as `too-many`. @default 10,000 */
  readonly maxConnections?: number;
  /** Versions of the protocol that are spoken with members. @default the present one and the two before it, from 1 */
  readonly versions?: VersionRange;
  /** Name and version, for people. @default "tulle-config-server" */
  readonly software?: string;
  /** Hears of failures that are nobody's fault but ours. */
  readonly onError?: (error: unknown) => void;
}

/** What a push server is made of. */
export interface PushServerParts {
  readonly enrollment: Enrollment;
  readonly policyStore: Pick<PolicyStore, "head">;
  readonly registry: Registry;
  readonly bundles: Watched<readonly TrustBundle[]>;
  /** What is refused although it has not expired. @default nothing */
  readonly revocations?: Pick<RevocationList, "pushed" | "refuses">;
  readonly clock: Clock;
  readonly random: Random;
  readonly options?: PushOptions;
}

/** The members' side of a config-server. */
export interface PushServer {
  /**
   * For the `upgrade` event of the mesh port. Who cannot prove an identity gets an HTTP answer (401, 403) with the refusal as
   * JSON, `{ code, message }`, and never a WebSocket; a path other than `MESH_PATH` gets 404.
   */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer, evidence: Evidence): void;
  readonly members: Members;
  /** The trust stream's position once all that was changed before is published. */
  trustRevision(): Promise<Revision>;
  counters(): Readonly<Record<string, number>>;
  /** Says goodbye to all members, closes with 1012, and settles when all connections have ended. */
  close(): Promise<void>;
}

/** What ws takes beyond the protocol's limit, so that a message a little too large is refused in words and not only by 1009. */
const OVERSIZE_ROOM_BYTES = 65_536;

/** How long a member may take to answer the closing handshake. */
const CLOSE_TIMEOUT_MS = 1_000;

/** Members come back after the server's end at random within this time, milliseconds. */
const RETRY_SPREAD_MS = 1_000;

// `closeTimeout` is documented by ws and missing from its types.
const socketOptions: ServerOptions & { readonly closeTimeout: number } = {
  noServer: true,
  // Each socket would compress the same text again; large resources come compressed once for all.
  perMessageDeflate: false,
  clientTracking: false,
  maxPayload: MAX_MEMBER_MESSAGE_BYTES + OVERSIZE_ROOM_BYTES,
  closeTimeout: CLOSE_TIMEOUT_MS,
};

/** Opens the members' side. It listens to nothing itself: the mesh port's HTTP server hands it upgrades. */
export const createPushServer = (parts: PushServerParts): PushServer => {
  const { enrollment, policyStore, registry, bundles, clock, random, options = {} } = parts;
  const { pingIntervalMs = 15_000, maxConnections = 10_000, software = "tulle-config-server" } = options;
  const versions = options.versions ?? supportedVersions;
  const failed = options.onError ?? (() => undefined);
  const counters = new PushCounters();
  const book = new MemberBook(clock);
  const revocations = parts.revocations ?? { pushed: constant([]), refuses: () => false };
  const published = new PublishedSnapshots(
    policyStore.head.current,
    registry.endpoints.current,
    bundles.current,
    revocations.pushed.current,
  );
  const sockets = new WebSocketServer(socketOptions);
  /** Every connection from the upgrade's request to its last byte; `session` once it is proven. */
  const connections = new Map<Duplex, { session?: Session }>();
  let closing: (() => void) | undefined;

  const host: SessionHost = {
    clock,
    enrollment,
    registry,
    published,
    counters,
    pingIntervalMs,
    software,
    versions,
    admit: (session, hello) => book.admit(session, hello),
    progressed: (session) => book.progressed(session),
    ended: (session, departed) => book.ended(session, departed),
    settled: () => publisher.settled(),
    failed,
  };

  const advance = (session: Session, changed: readonly Stream[]): void => {
    try {
      for (const stream of changed) session.advance(stream);
    } catch (error) {
      // One member's resources must not keep the others from theirs.
      counters.count("snapshotFailures");
      failed(error);
    }
  };

  const publisher = new Publisher(clock, () => {
    const before = streams.map((stream) => published.revision(stream));
    try {
      published.takePolicy(policyStore.head.current);
    } catch (error) {
      // Admission refuses what cannot be sent, so this is a revision of another replica's: the last good one stays.
      counters.count("snapshotFailures");
      failed(error);
    }
    published.takeEndpoints(registry.endpoints.current);
    published.takeTrust(bundles.current, revocations.pushed.current);
    counters.count("publications");
    const changed = streams.filter((stream, at) => published.revision(stream) !== before[at]);
    // Not only those in the book: who is still without a certificate needs the roots too.
    for (const { session } of connections.values()) if (session !== undefined) advance(session, changed);
  });
  const subscriptions = [policyStore.head, registry.endpoints, bundles, revocations.pushed].map(
    (watched: Watched<unknown>) => watched.subscribe(() => publisher.changed()),
  );

  subscriptions.push(
    revocations.pushed.subscribe(() => {
      for (const { session } of [...connections.values()]) {
        if (session?.isRevoked(revocations.refuses)) {
          session.refuse("revoked", "the certificate of this member, or its identity, was revoked");
        }
      }
    }),
  );

  let heartbeat: Timer;
  const beat = (): void => {
    for (const { session } of [...connections.values()]) session?.beat();
    heartbeat = clock.after(pingIntervalMs, beat);
  };
  heartbeat = clock.after(pingIntervalMs, beat);

  const upgrade = async (request: IncomingMessage, socket: Duplex, head: Buffer, evidence: Evidence): Promise<void> => {
    const connection: { session?: Session } = {};
    connections.set(socket, connection);
    socket.once("close", () => {
      connections.delete(socket);
      if (connections.size === 0) closing?.();
    });
    // The peer may reset the connection while its token is looked at; what follows is the event above.
    socket.on("error", () => counters.count("socketErrors"));
    const identity = await enrollment.authenticate(evidence);
    if (socket.destroyed) return;
    if (closing !== undefined) {
      refuseUpgrade(socket, "too-many", "the config-server goes: try again later");
      return;
    }
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      connection.session = new Session(webSocket, identity, host);
      counters.count("connected");
    });
  };

  const refuseUpgrade = (socket: Duplex, code: RefusalCode, message: string): void => {
    counters.count(`refused.${code}`);
    answer(socket, httpStatusOf(code), { code, message });
  };

  return {
    handleUpgrade: (request, socket, head, evidence) => {
      if (request.url?.split("?")[0] !== MESH_PATH) {
        answer(socket, 404, { code: "not-found", message: `members connect at ${MESH_PATH}` });
        return;
      }
      if (closing !== undefined || connections.size >= maxConnections) {
        refuseUpgrade(socket, "too-many", `${maxConnections} connections are served at most: try again later`);
        return;
      }
      upgrade(request, socket, head, evidence).catch((error: unknown) => {
        if (!(error instanceof EnrollmentRefused)) failed(error);
        const { code, message } = error instanceof EnrollmentRefused ? error : FAILED_UPGRADE;
        refuseUpgrade(socket, code, message);
      });
    },
    members: book,
    trustRevision: async () => {
      await publisher.settled();
      return published.revision("trust");
    },
    counters: () => ({ ...counters.all(), connections: connections.size, members: book.size }),
    close: async () => {
      heartbeat.cancel();
      publisher.close();
      for (const unsubscribe of subscriptions) unsubscribe();
      book.close();
      const ended = new Promise<void>((resolve) => {
        closing = resolve;
      });
      for (const [socket, { session }] of [...connections]) {
        if (session === undefined) socket.destroy();
        else session.goodbye("the config-server goes", Math.round(random() * RETRY_SPREAD_MS));
      }
      if (connections.size > 0) await ended;
      sockets.close();
    },
  };
};

const FAILED_UPGRADE = { code: "internal", message: "the config-server failed: try again" } as const;

const reasons: Readonly<Record<number, string>> = {
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  500: "Internal Server Error",
  503: "Service Unavailable",
};

const answer = (socket: Duplex, status: number, body: { readonly code: string; readonly message: string }): void => {
  const text = JSON.stringify(body);
  socket.on("error", () => socket.destroy());
  // The peer need not close its side: what it was told is out, and its connection counts no longer.
  socket.once("finish", () => socket.destroy());
  socket.end(
    [
      `HTTP/1.1 ${status} ${reasons[status] ?? ""}`,
      "content-type: application/json",
      `content-length: ${Buffer.byteLength(text)}`,
      "connection: close",
      ...(status === 503 ? ["retry-after: 1"] : []),
      "",
      text,
    ].join("\r\n"),
  );
};
