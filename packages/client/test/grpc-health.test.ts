import { once } from "node:events";
import { createServer as createTcpServer } from "node:net";
import {
  Server as GrpcServer,
  status as grpcStatus,
  type handleUnaryCall,
  ServerCredentials,
  type ServiceDefinition,
} from "@grpc/grpc-js";
import {
  type Credentials,
  type Duration,
  type Endpoint,
  effectiveHealthCheck,
  type GrpcHealthCheck,
} from "@tulle/policy";
import { createTestAuthority, seededRandom } from "@tulle/testing";
import { constant, systemClock } from "@tulle/time";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { checkEndpoint } from "../src/health/check-endpoint.ts";
import { GRPC_HEALTH_PATH } from "../src/health/grpc-health.ts";
import { EndpointPool } from "../src/transport/endpoint-pool.ts";
import { createTransport } from "../src/transport/transport.ts";
import { H2Server, say } from "./h2-server.ts";
import { clientOf, endpointAt, snapshotOf } from "./mesh-of-servers.ts";
import { poolPolicy, TestServer } from "./transport-kit.ts";

const check = (endpoint: Endpoint, grpc: GrpcHealthCheck = {}, credentials?: Credentials, timeout: Duration = "1s") => {
  const policy = effectiveHealthCheck({ kind: "Service", name: "reviews", healthCheck: { grpc, timeout } });
  if (policy === undefined) throw new Error("there is a check");
  const transport = createTransport({
    clock: systemClock,
    random: seededRandom(1),
    credentials: constant(credentials),
  });
  const pool = new EndpointPool(
    {
      endpoint,
      policy: poolPolicy,
      connections: { open: 0, max: 0 },
      expected: { namespace: "default", serviceAccounts: ["reviews"] },
      servername: "reviews.default.svc.cluster.local",
    },
    transport,
  );
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), policy.timeoutMs);
  return checkEndpoint(pool, policy, abort.signal).finally(() => clearTimeout(timer));
};

/** `HealthCheckResponse` with a status. */
const answer = (status: number): Buffer => Buffer.from(status === 0 ? [] : [8, status]);

const nameIn = (question: Buffer): string => question.subarray(2).toString();

/** A server of grpc-js that knows the services of the map. */
const grpcServer = async (
  known: Record<string, number>,
  credentials: ServerCredentials = ServerCredentials.createInsecure(),
): Promise<number> => {
  const server = new GrpcServer();
  const definition: ServiceDefinition = {
    check: {
      path: GRPC_HEALTH_PATH,
      requestStream: false,
      responseStream: false,
      requestSerialize: (value: Buffer) => value,
      requestDeserialize: (value: Buffer) => value,
      responseSerialize: (value: Buffer) => value,
      responseDeserialize: (value: Buffer) => value,
    },
  };
  const answers: handleUnaryCall<Buffer, Buffer> = ({ request }, callback) => {
    const found = known[nameIn(request)];
    if (found === undefined) callback({ code: grpcStatus.NOT_FOUND, message: "unknown service" });
    else callback(null, answer(found));
  };
  if (Object.keys(known).length > 0) server.addService(definition, { check: answers });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", credentials, (error, bound) => (error === null ? resolve(bound) : reject(error)));
  });
  onTestFinished(() => server.forceShutdown());
  return port;
};

describe("a gRPC check of a server of grpc-js", () => {
  test.each([
    [1, "passed"],
    [2, "unhealthy"],
    [0, "unhealthy"],
    [3, "unhealthy"],
  ] as const)("reads status %i as %s", async (status, result) => {
    const port = await grpcServer({ "": status });
    expect(await check(endpointAt(port))).toBe(result);
  });

  test("asks for the service that the policy names", async () => {
    const port = await grpcServer({ "": 2, "shop.Reviews": 1 });
    expect(await check(endpointAt(port), { service: "shop.Reviews" })).toBe("passed");
    expect(await check(endpointAt(port), { service: "shop.Ratings" })).toBe("unhealthy");
    expect(await check(endpointAt(port))).toBe("unhealthy");
  });

  test("takes a server without the health service for unhealthy", async () => {
    expect(await check(endpointAt(await grpcServer({})))).toBe("unhealthy");
  });

  test("works over mTLS, and checks who answers", async () => {
    const authority = await createTestAuthority("cluster.local");
    const as = async (serviceAccount: string): Promise<number> => {
      const { certificateChain, privateKey } = await authority.issue({ serviceAccount });
      const pair = { cert_chain: Buffer.from(certificateChain), private_key: Buffer.from(privateKey) };
      return grpcServer({ "": 1 }, ServerCredentials.createSsl(Buffer.from(authority.root), [pair], true));
    };
    const own = await authority.issue({ serviceAccount: "productpage" });
    const mtls = (port: number): Endpoint => ({ ...endpointAt(port), transport: "mtls" });
    expect(await check(mtls(await as("reviews")), {}, own)).toBe("passed");
    expect(await check(mtls(await as("ratings")), {}, own)).toBe("failed");
  });
});

describe("a gRPC check", () => {
  test("says what servers of gRPC expect", async () => {
    let seen: Record<string, unknown> = {};
    await using server = await H2Server.serving((stream, _path, headers) => {
      seen = { ...headers };
      stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
      stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
      stream.end(Buffer.from([0, 0, 0, 0, 2, 8, 1]));
    });
    expect(await check(server.endpoint(), { authority: "reviews.example" })).toBe("passed");
    expect(seen).toMatchObject({
      ":method": "POST",
      ":path": "/grpc.health.v1.Health/Check",
      ":authority": "reviews.example",
      "content-type": "application/grpc",
      te: "trailers",
    });
    await vi.waitFor(() => expect(server.connections).toBe(0));
  });

  test.each<[string, Parameters<typeof H2Server.serving>[0], string]>([
    ["an answer without a status", (stream) => say(stream, ""), "failed"],
    [
      "an HTTP error",
      (stream) => {
        stream.respond({ ":status": 503 }, { endStream: true });
      },
      "unhealthy",
    ],
    [
      "a failure at once",
      (stream) => {
        stream.respond({ ":status": 200, "grpc-status": "14" }, { endStream: true });
      },
      "unhealthy",
    ],
    ["a stream that is refused", (stream) => stream.close(7), "failed"],
    ["a session that is cut", (stream) => stream.session?.destroy(), "failed"],
    [
      "a flood",
      (stream) => {
        stream.respond({ ":status": 200 });
        stream.end(Buffer.alloc(1_000_000));
      },
      "unhealthy",
    ],
  ])("takes %s for what it is", async (_, answers, result) => {
    await using server = await H2Server.serving(answers);
    expect(await check(server.endpoint())).toBe(result);
  });

  test("fails at a server that accepts and says nothing, and leaves it", async () => {
    await using silent = await TestServer.on(
      createTcpServer((socket) => void socket.resume().on("error", () => undefined)),
    );
    const closed = once(silent.server, "connection").then(([socket]) => once(socket, "close"));
    expect(await check(silent.endpoint(), {}, undefined, "50ms")).toBe("failed");
    await closed;
  });

  test("keeps calls from an endpoint whose service does not serve", async () => {
    let serving = 1;
    await using sick = await H2Server.serving((stream, path) => {
      if (path === GRPC_HEALTH_PATH) {
        stream.respond({ ":status": 200 }, { waitForTrailers: true });
        stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
        stream.end(Buffer.from([0, 0, 0, 0, 2, 8, serving]));
      } else say(stream, "sick");
    });
    await using well = await H2Server.serving((stream, path) => {
      if (path === GRPC_HEALTH_PATH) {
        stream.respond({ ":status": 200 }, { waitForTrailers: true });
        stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
        stream.end(Buffer.from([0, 0, 0, 0, 2, 8, 1]));
      } else say(stream, "well");
    });
    await using client = clientOf(
      snapshotOf({
        reviews: {
          endpoints: [sick.endpoint(), well.endpoint()],
          policy: { protocol: "http2", healthCheck: { grpc: {}, interval: "100ms", noTrafficInterval: "100ms" } },
        },
      }),
    );
    const answers = async (): Promise<Set<string>> => {
      const texts = Array.from({ length: 20 }, async () => (await client.fetch("http://reviews/")).text());
      return new Set(await Promise.all(texts));
    };
    await vi.waitFor(async () => expect(await answers()).toEqual(new Set(["sick", "well"])));
    serving = 2;
    await vi.waitFor(async () => expect(await answers()).toEqual(new Set(["well"])), { timeout: 5_000 });
    serving = 1;
    await vi.waitFor(async () => expect(await answers()).toEqual(new Set(["sick", "well"])), { timeout: 5_000 });
  });
});
