import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import {
  DEFAULT_SERVICE_PORT,
  type Duration,
  MeshError,
  type MtlsMode,
  parseDuration,
  type ServicePolicy,
  type Transport,
} from "@tulle/policy";
import type { Clock } from "@tulle/time";
import type { AdmissionDesk } from "./admit-request.ts";
import { type Application, applicationOf, type ListenApp } from "./application.ts";
import { type DrainReport, untilQuiet } from "./listener/drain.ts";
import { serveApplicationOverH2 } from "./listener/h2-port.ts";
import { createHealthPort } from "./listener/health-port.ts";
import { createMeshPort, type MeshPortKit } from "./listener/mesh-port.ts";
import { OpenSockets } from "./listener/open-sockets.ts";
import { createPublicPort, type PublicListenOptions } from "./listener/public-port.ts";
import { serveApplication } from "./listener/serve-application.ts";
import type { SniffLimits } from "./listener/sniff-protocol.ts";
import type { ListenerState } from "./visit.ts";

/** Where and how a service listens. */
export interface ListenOptions {
  /** The mesh's port, 0 to 65535; 0 lets the system choose. */
  readonly port: number;
  /** @default every address of the machine */
  readonly host?: string;
  /** The port in URLs that this listener answers for. Callers follow the Service policy; a difference is told. @default 80 */
  readonly servicePort?: number;
  /** Listeners for callers from outside the mesh. @default none */
  readonly public?: readonly PublicListenOptions[];
  /** Where `/healthz` and `/readyz` answer, without mTLS. @default none */
  readonly health?: { readonly port: number; readonly host?: string };
  /** How long a drain waits for clients to leave. @default "45s" */
  readonly drainTimeout?: Duration;
  /** Bounds of connections that have not said yet what they want. */
  readonly sniff?: SniffLimits;
}

/** A listener at work. */
export interface MeshListener {
  readonly port: number;
  readonly host: string;
  readonly servicePort: number;
  readonly healthPort: number | undefined;
  readonly publicPorts: readonly number[];
  /** What clients must speak to the mesh's port: what the registry should be told. */
  readonly transport: Transport;
  /** Calls when {@link transport} has changed with the policy. Returns the way to stop. */
  onTransport(listener: (transport: Transport) => void): () => void;
  /**
   * Lets the clients leave: readiness off, replies close their connections and tell peers to look elsewhere, requests are
   * still served; closes the listener when no connection is left or the time is over. Tell the registry first.
   */
  drain(): Promise<DrainReport>;
  /** Ends at once, without waiting for anybody. */
  close(): Promise<void>;
  /** Open connections of the mesh's and the public ports. */
  connections(): number;
}

/** What a listener needs of the server. */
export interface ListenKit extends Omit<MeshPortKit, "sockets" | "sniff" | "speaksH2" | "mtls"> {
  readonly desk: AdmissionDesk;
  readonly clock: Clock;
  /** Modes are asked for by the port of the mesh's listener. */
  readonly transport: (port: number) => Transport;
  readonly mtls: (port: number | undefined) => MtlsMode | undefined;
  /** What callers are told to speak; `undefined` while no policy is known. */
  readonly protocol: () => NonNullable<ServicePolicy["protocol"]> | undefined;
  /** Why nothing is served yet, or `undefined`. */
  readonly notReady: (port: number | undefined) => string | undefined;
}

/** From the time that rolling updates commonly give a process to end: 60 s, less a margin. */
const DEFAULT_DRAIN_TIMEOUT: Duration = "45s";

/** Opens the ports of a service. @throws TypeError when the application cannot be served. @throws MeshError PROTOCOL_UNSERVED. @throws Error of the system when a port cannot be had. */
export const listen = async (kit: ListenKit, app: ListenApp, options: ListenOptions): Promise<MeshListener> => {
  if (options === undefined) throw new TypeError("listen() was not told where: pass { port }");
  const application = applicationOf(app);
  const drainMs = parseDuration(options.drainTimeout ?? DEFAULT_DRAIN_TIMEOUT);
  await application.ready();
  refuseProtocol(application, kit.protocol());

  const sockets = new OpenSockets();
  const meshState: ListenerState = { kind: "mesh", draining: false, closed: false };
  const publicState: ListenerState = { kind: "public", draining: false, closed: false };
  const states = [meshState, publicState];

  const meshPort = createMeshPort({
    ...kit,
    mtls: () => kit.mtls(meshState.port),
    // What the policy does not ask for is not offered: an application may be able to less than it shows.
    speaksH2: () => application.http2 && (kit.protocol() ?? "http") !== "http",
    sockets,
    ...(options.sniff === undefined ? {} : { sniff: options.sniff }),
  });
  const publicPorts = (options.public ?? []).map((each) => ({ ...each, server: createPublicPort(each, sockets) }));
  const stopServing = [serveApplication(meshPort.server, application, meshState, kit.desk)];
  serveApplicationOverH2(meshPort.h2.server, application, meshState, kit.desk);
  for (const { server } of publicPorts) stopServing.push(serveApplication(server, application, publicState, kit.desk));
  const health =
    options.health === undefined
      ? undefined
      : createHealthPort({
          notReady: () => (meshState.draining ? "the service drains" : kit.notReady(meshState.port)),
        });

  const servers = [meshPort.server, ...publicPorts.map(({ server }) => server)];
  const all = health === undefined ? servers : [...servers, health];

  let stopFollowing = (): void => undefined;
  let closing: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closing ??= (async () => {
      for (const state of states) state.closed = true;
      for (const stop of stopServing) stop();
      const closed = all.filter((server) => server.listening).map(closeServer);
      health?.closeAllConnections();
      await Promise.all([...closed, sockets.destroyAll()]);
      meshPort.close();
      stopFollowing();
    })();
    return closing;
  };

  let draining: Promise<DrainReport> | undefined;
  const drain = (): Promise<DrainReport> => {
    draining ??= (async () => {
      const startedAtMs = kit.clock.now();
      const connectionsAtStart = sockets.size;
      for (const state of states) state.draining = true;
      meshPort.h2.leaveAll();
      // Whoever would be told of another transport is told to go elsewhere.
      stopFollowing();
      const connectionsCut = await untilQuiet(sockets, drainMs, kit.clock);
      await close();
      return { connectionsAtStart, connectionsCut, durationMs: kit.clock.now() - startedAtMs };
    })();
    return draining;
  };

  let address: AddressInfo;
  const publicAddresses: number[] = [];
  let healthPort: number | undefined;
  try {
    if (health !== undefined) healthPort = (await bind(health, options.health?.port ?? 0, options.health?.host)).port;
    for (const { server, port, host } of publicPorts) {
      publicAddresses.push((await bind(server, port, host ?? options.host)).port);
    }
    // Last, so that whoever can reach the mesh's port finds the others open.
    address = await bind(meshPort.server, options.port, options.host);
    meshState.port = address.port;
  } catch (error) {
    await close();
    throw error;
  }

  let transport = kit.transport(address.port);
  const onTransport = new Set<(transport: Transport) => void>();
  stopFollowing = kit.onPolicy(() => {
    const next = kit.transport(address.port);
    if (next === transport) return;
    transport = next;
    for (const listener of [...onTransport]) listener(next);
  });

  return {
    port: address.port,
    host: address.address,
    servicePort: options.servicePort ?? DEFAULT_SERVICE_PORT,
    healthPort,
    publicPorts: publicAddresses,
    get transport() {
      return transport;
    },
    onTransport: (listener) => {
      onTransport.add(listener);
      return () => {
        onTransport.delete(listener);
      };
    },
    drain,
    close,
    connections: () => sockets.size,
  };
};

/** @throws MeshError PROTOCOL_UNSERVED for an application that cannot be served in what callers are told to speak. */
const refuseProtocol = (application: Application, protocol: ReturnType<ListenKit["protocol"]>): void => {
  if (application.http2 || protocol === undefined || protocol === "http") return;
  throw new MeshError("PROTOCOL_UNSERVED", {
    message: `the Service policy says protocol: ${protocol}, and the application can be served in HTTP/1.1 alone`,
    hint: "Express 5 and Fastify without its option http2 cannot be; a handler function and Fastify with { http2: true } can",
  });
};

const bind = (server: Server, port: number, host: string | undefined): Promise<AddressInfo> =>
  new Promise((resolve, reject) => {
    server.once("error", reject);
    // The workers of a cluster share a port that is given, but each one is registered with a port of its own choice.
    server.listen({ port, exclusive: port === 0, ...(host === undefined ? {} : { host }) }, () => {
      server.off("error", reject);
      // A server that listens on a port has an address of this form; a string would mean a pipe.
      resolve(server.address() as AddressInfo);
    });
  });

const closeServer = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve());
  });
