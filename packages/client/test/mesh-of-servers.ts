import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import {
  buildNameIndex,
  DEFAULT_MESH,
  type Endpoint,
  type MeshPolicy,
  type OutboundSnapshot,
  type RoutePolicy,
  type ServiceKey,
  type ServicePolicy,
  type ServiceSnapshot,
} from "@tulle/policy";
import { seededRandom } from "@tulle/testing";
import { constant, systemClock, Watchable } from "@tulle/time";
import { type Client, type ClientOptions, createClient } from "../src/create-client.ts";

/** A plaintext server on loopback, and the endpoint by which a mesh knows it. */
export interface RunningServer extends AsyncDisposable {
  readonly server: Server;
  readonly endpoint: Endpoint;
}

export const serve = async (listener: RequestListener, labels: Record<string, string> = {}): Promise<RunningServer> => {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    server,
    endpoint: endpointAt(port, labels),
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};

/** Several servers, ended together. `AsyncDisposableStack` would do it, but Node.js 22 has none. */
export interface RunningServers extends AsyncDisposable {
  readonly servers: readonly RunningServer[];
  readonly endpoints: readonly Endpoint[];
}

/** Servers of one kind. @param listenerOf told its place among them. */
export const serveAll = async (
  count: number,
  listenerOf: (place: number) => RequestListener,
): Promise<RunningServers> => {
  const servers = await Promise.all(Array.from({ length: count }, (_, place) => serve(listenerOf(place))));
  return {
    servers,
    endpoints: servers.map(({ endpoint }) => endpoint),
    [Symbol.asyncDispose]: async () => {
      await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
    },
  };
};

/** A plaintext endpoint on loopback. */
export const endpointAt = (port: number, labels: Record<string, string> = {}): Endpoint => ({
  id: `reviews-${port}`,
  address: "127.0.0.1",
  port,
  transport: "plaintext",
  labels,
  health: "healthy",
  serviceAccount: "reviews",
});

export interface ServiceOf {
  readonly endpoints: readonly Endpoint[];
  readonly routes?: readonly RoutePolicy[];
  readonly policy?: Partial<ServicePolicy>;
}

/** A snapshot of services of the namespace `default`. */
export const snapshotOf = (
  services: Record<string, ServiceOf>,
  mesh: MeshPolicy = DEFAULT_MESH,
  revision = "static.1",
): OutboundSnapshot => {
  const entries = Object.entries(services).map(
    ([name, { endpoints, routes = [], policy }]): ServiceSnapshot => ({
      key: `default/${name}`,
      policy: { kind: "Service", name, ...policy },
      routes,
      endpoints,
    }),
  );
  return {
    revision,
    mesh,
    names: buildNameIndex(entries, "default"),
    services: new Map<ServiceKey, ServiceSnapshot>(entries.map((entry) => [entry.key, entry])),
  };
};

/** A client of a fixed snapshot, with the system's clock and repeatable chance. */
export const clientOf = (
  snapshot: OutboundSnapshot | Watchable<OutboundSnapshot>,
  options: Partial<ClientOptions> = {},
): Client & AsyncDisposable => {
  const client = createClient({
    outbound: snapshot instanceof Watchable ? snapshot : constant(snapshot),
    credentials: constant(undefined),
    clock: systemClock,
    random: seededRandom(7),
    namespace: "default",
    service: "productpage",
    labels: { version: "v1" },
    discover: () => Promise.reject(new Error("nothing is discovered here")),
    inherit: () => undefined,
    ...options,
  });
  return { ...client, [Symbol.asyncDispose]: () => client.close() };
};
