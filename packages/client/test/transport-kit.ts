import { createServer, type RequestListener, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Server as NetServer } from "node:net";
import type { TlsOptions } from "node:tls";
import type { Credentials, EffectiveConnectionPool, Endpoint, ServicePolicy, ServiceSnapshot } from "@tulle/policy";
import { seededRandom } from "@tulle/testing";
import { type Clock, constant, systemClock, type Watched } from "@tulle/time";
import { beginAttempt, MeshCall } from "../src/call.ts";
import { createEndpointSet, type EndpointSet } from "../src/endpoints/endpoint-set.ts";
import type { Reply } from "../src/reply.ts";
import type { Attempt, Call } from "../src/send.ts";
import { DestinationUsage } from "../src/transport/destination-usage.ts";
import { dispatchTo } from "../src/transport/dispatch.ts";
import { createTransport, type Transport } from "../src/transport/transport.ts";

export const poolPolicy: EffectiveConnectionPool = {
  maxConnections: 1_024,
  maxConnectionsPerEndpoint: 64,
  maxPendingRequests: 1_024,
  maxRequests: 1_024,
  maxConcurrentStreams: 100,
  connectTimeoutMs: 1_000,
  keepAliveMs: 4_000,
  maxAgeMs: 3_600_000,
  maxRequestsPerConnection: Number.POSITIVE_INFINITY,
  preconnectRatio: 1,
  connectNewEndpoints: false,
};

/** A server on loopback that ends with its test. */
export class TestServer implements AsyncDisposable {
  readonly server: Server | NetServer;

  private constructor(server: Server | NetServer) {
    this.server = server;
  }

  static async http(listener: RequestListener): Promise<TestServer> {
    return TestServer.on(createServer(listener));
  }

  static async https(options: TlsOptions, listener: RequestListener): Promise<TestServer> {
    return TestServer.on(createTlsServer(options, listener));
  }

  static async on(server: Server | NetServer): Promise<TestServer> {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new TestServer(server);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  endpoint(changes: Partial<Endpoint> = {}): Endpoint {
    return {
      id: `reviews-${this.port}`,
      address: "127.0.0.1",
      port: this.port,
      transport: "plaintext",
      labels: {},
      health: "healthy",
      serviceAccount: "reviews",
      ...changes,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    if ("closeAllConnections" in this.server) this.server.closeAllConnections();
    await closed;
  }
}

/** The service `default/reviews` with these endpoints. */
export const reviewsAt = (
  endpoints: readonly Endpoint[],
  serviceAccounts?: readonly string[],
  protocol?: ServicePolicy["protocol"],
): ServiceSnapshot => ({
  key: "default/reviews",
  policy: {
    kind: "Service",
    name: "reviews",
    ...(serviceAccounts === undefined ? {} : { serviceAccounts }),
    ...(protocol === undefined ? {} : { protocol }),
  },
  routes: [],
  endpoints,
});

/** A caller of the service `default/reviews`, without the layers above the transport. */
export class TestCaller implements AsyncDisposable {
  readonly transport: Transport;
  readonly endpoints: EndpointSet;
  readonly usage: DestinationUsage;
  idleTimeoutMs = Number.POSITIVE_INFINITY;

  constructor(
    endpoints: readonly Endpoint[],
    options: {
      clock?: Clock;
      credentials?: Watched<Credentials | undefined>;
      policy?: Partial<EffectiveConnectionPool>;
      outsideRoots?: readonly string[];
      serviceAccounts?: readonly string[];
      protocol?: ServicePolicy["protocol"];
    } = {},
  ) {
    this.transport = createTransport({
      clock: options.clock ?? systemClock,
      random: seededRandom(1),
      credentials: options.credentials ?? constant(undefined),
      outsideRoots: options.outsideRoots,
    });
    this.endpoints = createEndpointSet(this.transport);
    const policy = { ...poolPolicy, ...options.policy };
    this.endpoints.update(reviewsAt(endpoints, options.serviceAccounts, options.protocol), policy);
    this.usage = new DestinationUsage("default/reviews", policy);
  }

  /** Begins a call and its first attempt on the first endpoint. */
  begin(
    changes: {
      method?: string;
      path?: string;
      headers?: string[];
      body?: Call["body"];
      authority?: string;
      givenUp?: string;
      /** Place of the endpoint among those of the service. @default 0 */
      to?: number;
    } = {},
  ): {
    call: MeshCall;
    attempt: Attempt;
    reply: Promise<Reply>;
  } {
    const call = new MeshCall({
      method: changes.method ?? "GET",
      authority: changes.authority ?? "reviews",
      port: 80,
      path: changes.path ?? "/",
      service: "default/reviews",
      headers: changes.headers ?? [],
      body: changes.body ?? null,
      replayable: true,
      options: {},
      startedAtMs: this.transport.clock.now(),
      inherited: undefined,
    });
    if (changes.givenUp !== undefined) call.cancel.cancel(changes.givenUp);
    const attempt = beginAttempt(call, this.transport.clock.now());
    const candidate = this.endpoints.all()[changes.to ?? 0];
    const limits = { idleTimeoutMs: this.idleTimeoutMs, usage: this.usage };
    const reply = dispatchTo(call, attempt, candidate!, limits);
    return { call, attempt, reply };
  }

  /** Makes a call and reads its reply to the end. */
  async text(changes: Parameters<TestCaller["begin"]>[0] = {}): Promise<string> {
    return textOf(await this.begin(changes).reply);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.endpoints.close();
  }
}

/** Reads a reply to its end. */
export const textOf = (reply: Reply): Promise<string> =>
  new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    reply.take({
      data: (chunk) => {
        chunks.push(chunk);
        return true;
      },
      end: () => resolve(Buffer.concat(chunks).toString()),
      error: reject,
    });
  });
