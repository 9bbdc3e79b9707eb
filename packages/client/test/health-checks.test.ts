import type { AddressInfo } from "node:net";
import { createServer, type Server, type Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import {
  type Credentials,
  type EffectiveConnectionPool,
  type Endpoint,
  effectiveHealthCheck,
  type HealthCheck,
} from "@tulle/policy";
import { createTestAuthority, FakeClock, seededRandom } from "@tulle/testing";
import { constant, systemClock, Watchable } from "@tulle/time";
import { afterEach, describe, expect, test, vi } from "vitest";
import { checkEndpoint } from "../src/health/check-endpoint.ts";
import { EndpointPool } from "../src/transport/endpoint-pool.ts";
import { createTransport } from "../src/transport/transport.ts";
import { clientOf, endpointAt, type RunningServer, serve, snapshotOf } from "./mesh-of-servers.ts";
import { poolPolicy, TestServer } from "./transport-kit.ts";

const running: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of running.splice(0)) await each[Symbol.asyncDispose]();
});

const http = async (listener: Parameters<typeof serve>[0]): Promise<RunningServer> => {
  const server = await serve(listener);
  running.push(server);
  return server;
};

/** A server that speaks what it is told to. */
const tcp = async (onConnection: (socket: Socket) => void): Promise<Endpoint> => {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket.on("error", () => undefined));
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  running.push({
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  });
  return endpointAt((server.address() as AddressInfo).port);
};

const pool: EffectiveConnectionPool = poolPolicy;

/** One check of an endpoint, with the rest of the policy as it is by default. */
const check = (
  endpoint: Endpoint,
  healthCheck: HealthCheck,
  signal = new AbortController().signal,
  credentials?: Credentials,
) => {
  const policy = effectiveHealthCheck({ kind: "Service", name: "reviews", healthCheck });
  if (policy === undefined) throw new Error("there is a check");
  const transport = createTransport({
    clock: systemClock,
    random: seededRandom(1),
    credentials: constant(credentials),
  });
  const checked = new EndpointPool(
    {
      endpoint,
      policy: pool,
      connections: { open: 0, max: 0 },
      expected: { namespace: "default", serviceAccounts: ["reviews"] },
      servername: "reviews.default.svc.cluster.local",
    },
    transport,
  );
  return checkEndpoint(checked, policy, signal);
};

describe("an HTTP check", () => {
  test("asks with method, path, host and headers of the policy", async () => {
    const { endpoint } = await http((request, response) => {
      const { method, url, headers } = request;
      const asked =
        method === "HEAD" && url === "/up?deep=1" && headers.host === "up.test" && headers["x-from"] === "me";
      response.writeHead(asked ? 200 : 500).end();
    });
    const path = "/up?deep=1";
    expect(
      await check(endpoint, { http: { path, method: "HEAD", host: "up.test", headers: { "x-from": "me" } } }),
    ).toBe("passed");
    expect(await check(endpoint, { http: { path } })).toBe("unhealthy");
  });

  test("sends the service's name as Host where the policy names none", async () => {
    const { endpoint } = await http(({ headers }, response) => {
      response.writeHead(headers.host === "reviews" ? 200 : 400).end();
    });
    expect(await check(endpoint, { http: { path: "/" } })).toBe("passed");
  });

  test.each([
    [200, "passed"],
    [204, "unhealthy"],
    [302, "unhealthy"],
    [500, "unhealthy"],
    [503, "failed"],
  ])("takes %i for %s when 200 is expected and 503 retriable", async (status, result) => {
    const { endpoint } = await http((_request, response) => response.writeHead(status).end());
    expect(await check(endpoint, { http: { path: "/", retriableStatuses: [503] } })).toBe(result);
  });

  test("takes any status of a range that is expected", async () => {
    const { endpoint } = await http((_request, response) => response.writeHead(204).end());
    expect(await check(endpoint, { http: { path: "/", expectedStatuses: ["200-299"] } })).toBe("passed");
  });

  test("hears that an endpoint is degraded", async () => {
    const { endpoint } = await http((_request, response) => response.writeHead(200, { "x-envoy-degraded": "" }).end());
    expect(await check(endpoint, { http: { path: "/" } })).toBe("degraded");
  });

  test("looks for the text in the first 1,024 bytes of the body, also across chunks, and reads no endless one", async () => {
    let written = 0;
    const { endpoint } = await http((request, response) => {
      if (request.url === "/split") {
        response.write("all is w");
        setImmediate(() => response.end("ell"));
        return;
      }
      response.write("x".repeat(1_020));
      const flood = (): void => {
        while (!response.destroyed && response.write("all is well, for ever and ever")) written++;
      };
      response.on("drain", flood);
      flood();
    });
    expect(await check(endpoint, { http: { path: "/split", body: "all is well" } })).toBe("passed");
    expect(await check(endpoint, { http: { path: "/flood", body: "all is well" } })).toBe("unhealthy");
    expect(written).toBeGreaterThan(0);
  });

  test("fails where no connection can be made, where it is cut, and where it is given up", async () => {
    const { endpoint } = await http((request) => request.socket.destroy());
    expect(await check(endpoint, { http: { path: "/" } })).toBe("failed");
    const silent = await http(() => undefined);
    const given = new AbortController();
    const asked = check(silent.endpoint, { http: { path: "/" } }, given.signal);
    silent.server.once("request", () => given.abort());
    expect(await asked).toBe("failed");
    const gone = await serve(() => undefined);
    await gone[Symbol.asyncDispose]();
    expect(await check(gone.endpoint, { http: { path: "/" } })).toBe("failed");
  });
});

describe("a TCP check", () => {
  test("passes where a connection is accepted", async () => {
    expect(await check(await tcp(() => undefined), { tcp: {} })).toBe("passed");
  });

  test("fails where none is", async () => {
    const gone = await serve(() => undefined);
    await gone[Symbol.asyncDispose]();
    expect(await check(gone.endpoint, { tcp: {} })).toBe("failed");
  });

  test("sends bytes and waits for all that must come, in turn", async () => {
    const endpoint = await tcp((socket) => {
      socket.once("data", (data) => {
        socket.write(data.equals(Buffer.from("PING\r\n")) ? "+PO" : "-NO");
        setImmediate(() => socket.write("NG and OK"));
      });
    });
    const send = { hex: "50494e470d0a" };
    const received = (...texts: string[]) =>
      check(endpoint, { tcp: { send, receive: texts.map((text) => ({ text })) } });
    expect(await received("+PONG", "OK")).toBe("passed");
  });

  test("fails by the wrong order, by an early end, and by more than 1,024 bytes of something else", async () => {
    const receive = [{ text: "one" }, { text: "two" }];
    const swapped = await tcp((socket) => socket.end("two one"));
    expect(await check(swapped, { tcp: { receive } })).toBe("failed");
    const chatty = await tcp((socket) => socket.write("x".repeat(5_000)));
    expect(await check(chatty, { tcp: { receive } })).toBe("failed");
  });

  test("ends when it is given up, and closes its connection", async () => {
    const closed = Promise.withResolvers<void>();
    const given = new AbortController();
    const endpoint = await tcp((socket) => {
      socket.resume().once("close", () => closed.resolve());
      socket.once("data", () => given.abort());
    });
    const asked = check(endpoint, { tcp: { send: { text: "?" }, receive: [{ text: "!" }] } }, given.signal);
    expect(await asked).toBe("failed");
    await closed.promise;
  });
});

/** Two instances whose health is told apart from what they answer to calls. */
const instances = async () => {
  const asked = { checks: 0 };
  const make = async () => {
    const state = { status: 200, calls: 0, headers: {} as Record<string, string> };
    const { endpoint } = await http((request, response) => {
      if (request.url === "/healthz") {
        asked.checks++;
        response.writeHead(state.status, state.headers).end();
        return;
      }
      state.calls++;
      response.writeHead(state.status).end();
    });
    return { state, endpoint };
  };
  return { a: await make(), b: await make(), asked };
};

const withChecks = (endpoints: readonly Endpoint[], healthCheck: HealthCheck) =>
  snapshotOf({
    reviews: {
      endpoints,
      policy: {
        balancer: { algorithm: "round-robin" },
        outlierDetection: false,
        circuitBreaker: false,
        healthCheck: { interval: "1s", intervalJitterPercent: 0, ...healthCheck },
      },
    },
  });

describe("calls", () => {
  test("stop before any fails when an instance turns unhealthy, without retries, and come back with it", async () => {
    const { a, b, asked } = await instances();
    const clock = new FakeClock();
    await using client = clientOf(withChecks([a.endpoint, b.endpoint], { http: { path: "/healthz" } }), { clock });
    const statuses: number[] = [];
    const call = async () => {
      const { statusCode, body } = await client.request("http://reviews/");
      await body.dump();
      statuses.push(statusCode);
    };
    const checked = async (times: number) => {
      const before = asked.checks;
      clock.advance(1_000);
      await vi.waitFor(() => expect(asked.checks).toBe(before + times));
      // The answers are on their way: what they say is known once both are.
      await vi.waitFor(() => expect(client.counters().healthChecksEnded).toBe(asked.checks));
    };
    await vi.waitFor(() => expect(client.counters().healthChecksEnded).toBe(2));
    for (let each = 0; each < 10; each++) await call();
    expect([a.state.calls, b.state.calls]).toEqual([5, 5]);
    a.state.status = 500;
    await checked(2);
    for (let each = 0; each < 10; each++) await call();
    expect([a.state.calls, b.state.calls]).toEqual([5, 15]);
    expect(new Set(statuses)).toEqual(new Set([200]));
    a.state.status = 200;
    await checked(2);
    for (let each = 0; each < 10; each++) await call();
    expect([a.state.calls, b.state.calls]).toEqual([10, 20]);
  });

  test("go to an unhealthy instance when nobody else is left", async () => {
    const { a } = await instances();
    a.state.status = 503;
    await using client = clientOf(withChecks([a.endpoint], { http: { path: "/healthz" } }));
    await vi.waitFor(() => expect(client.counters().healthCheckFailures).toBe(1));
    const { statusCode, body } = await client.request("http://reviews/");
    await body.dump();
    expect(statusCode).toBe(503);
  });
});

test("an endpoint is checked once, however many routes and subsets lead to it", async () => {
  const { a, asked } = await instances();
  const clock = new FakeClock();
  const snapshot = snapshotOf({
    reviews: {
      endpoints: [{ ...a.endpoint, labels: { version: "v1" } }],
      policy: {
        subsets: { one: { version: "v1" }, same: { version: "v1" } },
        healthCheck: { http: { path: "/healthz" } },
      },
      routes: [
        {
          kind: "Route",
          name: "r",
          services: ["reviews"],
          rules: [
            { name: "one", match: [{ path: { prefix: "/one" } }], split: [{ subset: "one" }] },
            { name: "same", split: [{ subset: "same" }] },
          ],
        },
      ],
    },
  });
  await using client = clientOf(snapshot, { clock });
  for (const path of ["one", "two", "three"]) await (await client.request(`http://reviews/${path}`)).body.dump();
  await vi.waitFor(() => expect(client.counters().healthChecksEnded).toBe(1));
  expect(asked.checks).toBe(1);
});

test("checks begin, change and end with the policy, and a close leaves no timer", async () => {
  const { a, asked } = await instances();
  const clock = new FakeClock();
  const unchecked = snapshotOf({ reviews: { endpoints: [a.endpoint] } });
  const outbound = new Watchable(unchecked);
  const client = clientOf(outbound, { clock });
  outbound.set({ ...withChecks([a.endpoint], { http: { path: "/healthz" } }), revision: "static.2" });
  await vi.waitFor(() => expect(client.counters().healthChecksEnded).toBe(1));
  outbound.set({ ...unchecked, revision: "static.3" });
  await clock.advanceAsync(600_000);
  expect(asked.checks).toBe(1);
  outbound.set({ ...withChecks([a.endpoint], { http: { path: "/healthz" } }), revision: "static.4" });
  await client.close();
  // A connection that is being made ends as soon as it is there.
  await vi.waitFor(() => expect(clock.pendingTimers).toBe(0));
});

describe("over mTLS a check", () => {
  const checkAs = async (serviceAccount: string) => {
    const mesh = await createTestAuthority("cluster.local");
    const shown = await mesh.issue({ serviceAccount });
    const seen: string[] = [];
    const server = await TestServer.https(
      {
        key: shown.privateKey,
        cert: shown.certificateChain,
        ca: [mesh.root],
        requestCert: true,
        rejectUnauthorized: true,
      },
      (request, response) => {
        // The server asked for a certificate, so there is one.
        seen.push((request.socket as TLSSocket).getPeerCertificate().subjectaltname ?? "");
        response.end();
      },
    );
    running.push(server);
    const own = await mesh.issue({ serviceAccount: "productpage" });
    return {
      result: await check(server.endpoint({ transport: "mtls" }), { http: { path: "/" } }, undefined, own),
      seen,
    };
  };

  test("shows this member's certificate and wants the service's identity, as calls do", async () => {
    expect(await checkAs("reviews")).toEqual({
      result: "passed",
      seen: ["URI:spiffe://cluster.local/ns/default/sa/productpage"],
    });
  });

  test("fails when somebody else answers, and sends nothing", async () => {
    expect(await checkAs("ratings")).toEqual({ result: "failed", seen: [] });
  });
});
