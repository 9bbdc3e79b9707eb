import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2Session } from "node:http2";
import { TLSSocket } from "node:tls";
import { context as activeContext } from "@opentelemetry/api";
import { type Credentials, type InboundSnapshot, type MtlsMode, mtlsModeOf, type Transport } from "@tulle/policy";
import type { Clock, Random, Watched } from "@tulle/time";
import { AccessNotes, type AccessSample } from "./access-notes.ts";
import { gatesFor } from "./admission.ts";
import { type AdmissionDesk, admitRequest, settleRoute } from "./admit-request.ts";
import type { ListenApp, TellsRoutes } from "./application.ts";
import { type Connection, rememberConnection, strangerConnection } from "./connection.ts";
import { ServerCounters } from "./counters.ts";
import { ExternalAuthorizers, type SendToAuthorizer } from "./external-authorizers.ts";
import type { FoundRoute, Visit } from "./gate.ts";
import { CurrentInbound, type InboundPolicy } from "./inbound-policy.ts";
import { type ListenOptions, listen, type MeshListener } from "./listen.ts";
import { streamOf } from "./listener/h2-request.ts";
import { ProvenPeers, type ProvenSocket } from "./listener/proven-peers.ts";
import { LoadReports } from "./load-report.ts";
import { VisitObserver } from "./observe-visit.ts";
import { type PlaintextCaller, PlaintextCallers } from "./plaintext-callers.ts";
import { sharedConnection } from "./shared-connection.ts";
import type { FetchKeys, KeyStorage } from "./tokens/remote-keys.ts";
import { TokenDesk } from "./tokens/token-desk.ts";
import { type ListenerState, type OpenVisit, visitOf } from "./visit.ts";
import type { RunInVisit } from "./visit-events.ts";

/**
 * How far a service has moved in: `off` passes everything through untouched, `observe` and `client` run the gates and
 * note what they would refuse, `full` enforces.
 */
export type ServerMode = "off" | "observe" | "client" | "full";

/** What the receiving side of a member is made of. */
export interface ServerOptions {
  /** What the service demands of its callers; `undefined` until the first policy is known. */
  readonly inbound: Watched<InboundSnapshot | undefined>;
  /** The member's own certificate and the roots it trusts; `undefined` until they are there. */
  readonly credentials: Watched<Credentials | undefined>;
  readonly clock: Clock;
  /** For the ids of traces that begin here. @default Math.random */
  readonly random?: Random;
  readonly service: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Runs a handler inside its visit, so that calls made in it inherit deadline and trace. @default the handler is just run */
  readonly enter?: <T>(visit: Visit, run: () => T) => T;
  readonly mode: ServerMode;
  /** Milliseconds by which the config-server's clock is ahead of this machine's, for messages. @default 0 */
  readonly clockSkewMs?: () => number;
  /** Fetches the keys of issuers of tokens. @default none can be fetched, so that tokens of such issuers are refused */
  readonly fetchKeys?: FetchKeys;
  /** Keeps copies of fetched keys for the next start. @default none are kept */
  readonly keyStorage?: KeyStorage;
  /** Hears what an operator should know. @default nobody does */
  readonly onNotice?: (text: string) => void;
  /** Sends questions to the authorizers of custom access policies. @default nobody can be asked, so those policies refuse */
  readonly askAuthorizer?: SendToAuthorizer;
}

/** The receiving side of a member. */
export interface MeshServer {
  /** Opens ports and serves an application behind the gates. @throws as {@link listen} of the ports does. */
  listen(app: ListenApp, options: ListenOptions): Promise<MeshListener>;
  /**
   * For the framework adapters: the visit that the mesh's listener admitted already, or, where the service keeps its own
   * listener, the one that the gates admit now. `undefined`: refused, and the refusal is written, or the caller is gone.
   * A promise, which never rejects, only while a gate waits for an answer from elsewhere.
   */
  admit(
    request: IncomingMessage,
    response: ServerResponse,
    tellsRoutes?: TellsRoutes,
  ): Visit | undefined | Promise<Visit | undefined>;
  /**
   * For adapters that tell routes: the framework has found one for a visit, or `undefined` where it found none.
   * False: the visit is refused, and the refusal is written.
   */
  settleRoute(visit: Visit, response: ServerResponse, route: FoundRoute): boolean;
  /** Runs a function inside a visit, for adapters whose framework lost the context on the way to the handler. */
  enter<T>(visit: Visit, run: () => T): T;
  /** Closes all listeners at once. Drain them first. */
  close(): Promise<void>;
  /** Who came in without an identity within the last hour, the most recent first; at most 256. */
  plaintextCallers(): readonly PlaintextCaller[];
  /** Plain counters by name, since the start. */
  counters(): Record<string, number>;
  /** The last calls about which access policies in dry-run would have changed something, the newest first; at most 100. */
  dryRunSamples(): readonly AccessSample[];
}

/** The socket of a session, as far as anybody may touch it: what HTTP/2 shows in its place belongs to one stream. */
const ofSession = (session: Http2Session, socket: TLSSocket): ProvenSocket => ({
  authorized: socket.authorized,
  authorizationError: socket.authorizationError,
  remoteAddress: socket.remoteAddress,
  getPeerX509Certificate: () => socket.getPeerX509Certificate(),
  once: (event, listener) => session.once(event, listener),
  destroy: () => session.destroy(),
});

/** Builds the receiving side. Opens nothing by itself. */
export const createServer = (options: ServerOptions): MeshServer => {
  const { clock, credentials, mode } = options;
  const enforces = mode === "full";
  const counters = new ServerCounters();
  const tokens = new TokenDesk({
    clock,
    random: options.random ?? Math.random,
    fetch: options.fetchKeys ?? (() => Promise.reject(new Error("this member has no way to fetch keys"))),
    storage: options.keyStorage,
    onNotice: options.onNotice ?? (() => undefined),
  });
  const current = new CurrentInbound(options.inbound, options.labels);
  const takeRules = (): void => tokens.take(current.policy?.jwt ?? []);
  if (mode !== "off") {
    takeRules();
    current.onChange(takeRules);
  }
  const observer = new VisitObserver({
    clock,
    random: options.random ?? Math.random,
    counters,
    trustsAll: !enforces,
    silent: mode === "off",
  });
  const peers = new ProvenPeers({
    clock,
    credentials,
    onRetired: () => {
      counters.retiredConnections++;
    },
    clockSkewMs: options.clockSkewMs,
    onNotice: options.onNotice,
  });
  const plaintext = new PlaintextCallers(clock);
  current.onChange(() => {
    const { mode: workload, ports } = current.policy?.mtls ?? {};
    if (
      enforces &&
      workload === "strict" &&
      ports !== undefined &&
      [...ports.values()].every((each) => each === "strict")
    )
      plaintext.clear();
  });
  const nameOwn = (): void => {
    if (current.policy !== undefined) peers.nameOwn([current.policy.trustDomain, ...current.policy.aliases]);
  };
  nameOwn();
  current.onChange(nameOwn);
  const notes = new AccessNotes(clock, counters);
  const authorizers = new ExternalAuthorizers(clock, counters, options.askAuthorizer);
  const own: ListenerState = { kind: "own", draining: false, closed: false };

  /** For sockets that came in by a listener of the service's own; looked at once. */
  const inspect = (request: IncomingMessage): Connection => {
    const { socket } = request;
    const session = streamOf(request)?.session;
    const connection = inspected(socket, session);
    if (session !== undefined) connection.shared = sharedConnection(session, clock);
    rememberConnection(socket, connection);
    return connection;
  };
  const inspected = (socket: IncomingMessage["socket"], session: Http2Session | undefined): Connection => {
    if (!(socket instanceof TLSSocket)) return strangerConnection(socket, "plaintext");
    const verdict = peers.verify(socket);
    if (!verdict.ok) return strangerConnection(socket, "tls", verdict);
    const kept = session === undefined ? socket : ofSession(session, socket);
    return peers.keep(kept, verdict) ?? strangerConnection(socket, "tls");
  };

  const enter = options.enter ?? ((_visit, run) => run());
  const runIn: RunInVisit = (visit, run) =>
    enter(visit, () => (visit.context === undefined ? run() : activeContext.with(visit.context, run)));

  const load = new LoadReports(clock);
  const desk: AdmissionDesk = {
    gates:
      mode === "off" ? [] : gatesFor({ current, clock, counters, tokens, touchHeaders: enforces, notes, authorizers }),
    enforces,
    observer,
    clock,
    current,
    runIn,
    load,
    plaintext: mode === "off" ? undefined : plaintext,
    inspect,
  };

  /** A service that has not moved in accepts what comes. */
  const mtls = (port: number | undefined): MtlsMode | undefined => {
    if (mode === "off") return "disable";
    if (!enforces) return "permissive";
    return current.policy === undefined ? undefined : mtlsModeOf(current.policy.mtls, port);
  };
  const transport = (port: number): Transport => {
    if (mode === "off") return "plaintext";
    if (!enforces) return credentials.current === undefined ? "plaintext" : "mtls";
    return mtls(port) === "disable" ? "plaintext" : "mtls";
  };
  const notReady = (port: number | undefined): string | undefined => {
    if (!enforces) return undefined;
    if (current.policy === undefined) return "no inbound policy yet";
    return mtls(port) === "strict" && credentials.current === undefined ? "no certificate yet" : undefined;
  };

  const protocol = (): InboundPolicy["protocol"] | undefined => (mode === "off" ? "http" : current.policy?.protocol);

  /** What a port accepts follows from the policy, and before the service has moved in from whether there is a certificate. */
  const onPolicy = (listener: () => void): (() => void) => {
    const stops = [current.onChange(listener), credentials.subscribe(listener)];
    return () => {
      for (const stop of stops) stop();
    };
  };

  const listeners = new Set<MeshListener>();
  return {
    listen: async (app, listenOptions) => {
      const listener = await listen(
        {
          desk,
          clock,
          credentials,
          observer,
          counters,
          peers,
          enforces,
          mtls,
          onPolicy,
          transport,
          protocol,
          notReady,
        },
        app,
        listenOptions,
      );
      listeners.add(listener);
      return listener;
    },
    admit: (request, response, tellsRoutes = "nobody") => {
      const known = visitOf(request);
      if (known !== undefined) {
        if (known.served) return known;
        // Refused, unless a gate is still waited for.
        return known.admission;
      }
      return admitRequest(desk, request, response, own, () => tellsRoutes);
    },
    // Adapters hand back the visit that admit gave them, which is one of ours.
    settleRoute: (visit, response, route) => settleRoute(desk, visit as OpenVisit, response, route),
    // Adapters hand back the visit that admit gave them, which is one of ours.
    enter: (visit, run) => runIn(visit as OpenVisit, run),
    close: async () => {
      // From here on nobody follows the policy any more, so listeners of the service's own get nothing in either.
      own.closed = true;
      await Promise.all([...listeners].map((listener) => listener.close()));
      listeners.clear();
      current.close();
      tokens.close();
      peers.close();
      load.close();
    },
    plaintextCallers: () => plaintext.list(),
    dryRunSamples: () => notes.samples(),
    counters: () => ({
      ...counters.read(),
      ...tokens.counters(),
      ...plaintext.counters,
      rejectedPolicies: current.rejected,
      connections: [...listeners].reduce((sum, listener) => sum + listener.connections(), 0),
      provenConnections: peers.size,
    }),
  };
};
