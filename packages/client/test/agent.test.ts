import { once } from "node:events";
import { type ClientRequest, get, type IncomingMessage, type RequestOptions, request } from "node:http";
import type { Socket } from "node:net";
import { text } from "node:stream/consumers";
import { type Credentials, type Endpoint, MeshError, type RouteRule } from "@tulle/policy";
import { createTestAuthority, FakeClock } from "@tulle/testing";
import { constant, Watchable } from "@tulle/time";
import { describe, expect, test, vi } from "vitest";
import type { Client } from "../src/create-client.ts";
import { clientOf, endpointAt, serve, snapshotOf } from "./mesh-of-servers.ts";
import { TestServer } from "./transport-kit.ts";
import { serveUpgrade } from "./upgrade-server.ts";

const answerTo = async (sent: ClientRequest): Promise<IncomingMessage & { text: string }> => {
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  return Object.assign(response, { text: await text(response) });
};

const ask = (client: Client, url = "http://reviews/", options: RequestOptions = {}) =>
  answerTo(request(url, { agent: client.agent, ...options }).end());

const failureOf = async (sent: ClientRequest): Promise<Error> => {
  const [error] = (await once(sent, "error")) as [Error];
  return error;
};

const inFlight = (client: Client): number =>
  client.explain("http://reviews/").destinations[0]?.candidates.reduce((sum, each) => sum + each.inFlight, 0) ?? -1;

describe("the agent for node:http", () => {
  test("finds a service by its name and sends the name as Host", async () => {
    await using server = await serve((request, response) => response.end(`${request.headers.host}${request.url}`));
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint] } }));
    expect((await ask(client, "http://reviews.default/7?full")).text).toBe("reviews.default/7?full");
  });

  test("balances each request, although the connections are kept", async () => {
    await using one = await serve((_request, response) => response.end("one"));
    await using two = await serve((_request, response) => response.end("two"));
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [one.endpoint, two.endpoint] } }));
    const answers: string[] = [];
    for (let round = 0; round < 40; round++) answers.push((await ask(client)).text);
    expect(new Set(answers)).toEqual(new Set(["one", "two"]));
    expect(client.counters().connections).toBe(2);
    expect(inFlight(client)).toBe(0);
  });

  test("tells the request whether its connection was used before", async () => {
    await using server = await serve((_request, response) => response.end());
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint] } }));
    const reused: boolean[] = [];
    for (let round = 0; round < 2; round++) {
      const sent = get("http://reviews/", { agent: client.agent });
      await answerTo(sent);
      reused.push(sent.reusedSocket);
    }
    expect(reused).toEqual([false, true]);
  });

  test("keeps at most as many connections as the policy allows, and lets the others wait", async () => {
    const sockets = new Set<unknown>();
    await using server = await serve((request, response) => {
      sockets.add(request.socket);
      setImmediate(() => response.end("served"));
    });
    const policy = { connectionPool: { maxConnectionsPerEndpoint: 2, maxPendingRequests: 6 } };
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint], policy } }));
    const answers = await Promise.all(Array.from({ length: 8 }, () => ask(client)));
    expect(answers.map((answer) => answer.text)).toEqual(Array.from({ length: 8 }, () => "served"));
    expect(sockets.size).toBe(2);
  });

  test("refuses what waits beyond the policy's bound with OVERFLOW_PENDING", async () => {
    await using server = await serve(() => undefined);
    const policy = {
      connectionPool: { maxConnectionsPerEndpoint: 1, maxPendingRequests: 0 },
      circuitBreaker: false as const,
    };
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint], policy } }));
    const held = get("http://reviews/", { agent: client.agent }).on("error", () => undefined);
    const error = await failureOf(get("http://reviews/", { agent: client.agent }));
    expect(error).toMatchObject({ code: expect.stringMatching(/OVERFLOW_PENDING$/) });
    held.destroy();
  });

  test("tries another endpoint when one cannot be reached, with the body still to be sent", async () => {
    await using gone = await TestServer.http(() => undefined);
    const { port } = gone;
    await gone[Symbol.asyncDispose]();
    await using server = await serve((request, response) => void request.pipe(response));
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [endpointAt(port), server.endpoint] } }));
    for (let round = 0; round < 6; round++) {
      const sent = request("http://reviews/", { agent: client.agent, method: "POST" });
      sent.end("five stars");
      expect((await answerTo(sent)).text).toBe("five stars");
    }
    expect(client.counters().connectFailures).toBeGreaterThan(0);
  });

  test("sends the deadline and the attempt in headers, and takes away what a caller forwards of them", async () => {
    await using server = await serve((request, response) => response.end(JSON.stringify(request.headers)));
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint] } }));
    const headers = { "X-Envoy-Attempt-Count": "7", "tulle-error": "forged", "X-Own": ["a", "b"] };
    const seen = JSON.parse((await ask(client, undefined, { headers })).text);
    expect(seen).toMatchObject({ "x-envoy-attempt-count": "1", "x-own": "a, b" });
    expect(Number(seen["x-envoy-expected-rq-timeout-ms"])).toBeGreaterThan(0);
    expect(seen).not.toHaveProperty("tulle-error");
  });

  test("shows no caller what members say to each other in a reply's headers", async () => {
    const said = { "tulle-refused": "unprocessed", "Tulle-Drain": "1", "tulle-retried": "1", "x-own": "a" };
    await using server = await serve((_request, response) => void response.writeHead(500, said).end());
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint] } }));
    const [response] = (await once(get("http://reviews/", { agent: client.agent }), "response")) as [IncomingMessage];
    response.resume();
    expect(response.headers["x-own"]).toBe("a");
    expect(String([...Object.keys(response.headers), ...response.rawHeaders]).toLowerCase()).not.toContain("tulle-");
  });

  test("ends a request whose deadline passes with DEADLINE_EXCEEDED, and its connection", async () => {
    const ended = Promise.withResolvers<void>();
    const arrived = Promise.withResolvers<void>();
    await using server = await serve((request) => {
      request.socket.once("close", () => ended.resolve());
      arrived.resolve();
    });
    const clock = new FakeClock();
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint] } }), { clock });
    const sent = get("http://reviews/", { agent: client.agent });
    const failed = failureOf(sent);
    await arrived.promise;
    clock.advance(15_000);
    expect(await failed).toMatchObject({ code: "DEADLINE_EXCEEDED" });
    await ended.promise;
    await vi.waitFor(() => expect(inFlight(client)).toBe(0));
  });

  test("gives a broken connection's error the mesh's as its cause", async () => {
    await using server = await serve((request) => void request.socket.destroy());
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint] } }));
    const error = await failureOf(get("http://reviews/", { agent: client.agent }));
    expect(error).toMatchObject({ code: "ECONNRESET", cause: { code: "CONNECTION_TERMINATED" } });
  });

  test("gives the error of a broken body the mesh's as its cause", async () => {
    await using server = await serve((request, response) => {
      response.writeHead(200, { "content-length": "10" }).write("half", () => request.socket.destroy());
    });
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint] } }));
    await expect(ask(client)).rejects.toMatchObject({ code: "ECONNRESET", cause: { code: "REPLY_BROKEN" } });
    await vi.waitFor(() => expect(inFlight(client)).toBe(0));
  });

  test("fails with the mesh's own error where there is nobody to send to", async () => {
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [] } }));
    const error = await failureOf(get("http://reviews/", { agent: client.agent }));
    expect(error).toBeInstanceOf(MeshError);
    expect(error).toMatchObject({ code: "NO_HEALTHY_ENDPOINT" });
  });

  test("answers as a proxy would where the mesh is told to", async () => {
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [] } }), { localReplies: "response" });
    const { statusCode, headers, text } = await ask(client);
    expect({ statusCode, code: headers["tulle-error"] }).toEqual({ statusCode: 503, code: "NO_HEALTHY_ENDPOINT" });
    expect(text).toContain("no registered endpoint");
  });

  test("gives up its wait for a connection when the request is destroyed, at once", async () => {
    await using server = await serve(() => undefined);
    const policy = { connectionPool: { maxConnectionsPerEndpoint: 1, maxPendingRequests: 5 } };
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint], policy } }));
    const held = get("http://reviews/", { agent: client.agent }).on("error", () => undefined);
    await vi.waitFor(() => expect(client.counters().connections).toBe(1));
    const waiting = get("http://reviews/", { agent: client.agent });
    const failed = failureOf(waiting);
    waiting.destroy(new Error("no longer wanted"));
    expect(await failed).toMatchObject({ message: "no longer wanted" });
    expect(inFlight(client)).toBe(1);
    held.destroy();
    await vi.waitFor(() => expect(inFlight(client)).toBe(0));
  });

  test("frees the figures of a request that is destroyed in the same turn in which it got its connection", async () => {
    await using server = await serve((_request, response) => response.end());
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint] } }));
    await ask(client);
    const sent = get("http://reviews/", { agent: client.agent });
    const failed = failureOf(sent);
    sent.destroy();
    expect(await failed).toMatchObject({ code: "ECONNRESET" });
    expect(inFlight(client)).toBe(0);
    expect((await ask(client)).statusCode).toBe(200);
  });

  test("throws away a body that nobody listens for, and uses the connection again", async () => {
    await using server = await serve((_request, response) => response.end("unheard"));
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint] } }));
    const sent = get("http://reviews/", { agent: client.agent });
    await once(sent, "close");
    await ask(client);
    expect(client.counters().connections).toBe(1);
  });

  test("closes its idle connections with the client", async () => {
    const closed = Promise.withResolvers<void>();
    await using server = await serve((request, response) => {
      request.socket.once("close", () => closed.resolve());
      response.end();
    });
    const client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint] } }));
    await ask(client);
    await client.close();
    await closed.promise;
    const error = await failureOf(get("http://reviews/", { agent: client.agent }));
    expect(error).toMatchObject({ code: "MESH_CLOSED" });
  });

  test("uses no connection of an older certificate once there is a new one", async () => {
    const authority = await createTestAuthority();
    const shown = await authority.issue({ serviceAccount: "reviews" });
    const sockets = new Set<Socket>();
    await using server = await TestServer.https(
      {
        key: shown.privateKey,
        cert: shown.certificateChain,
        ca: [authority.root],
        requestCert: true,
        rejectUnauthorized: true,
      },
      (request, response) => {
        sockets.add(request.socket);
        response.end("over mTLS");
      },
    );
    const credentials = new Watchable<Credentials | undefined>(
      await authority.issue({ serviceAccount: "productpage" }),
    );
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint({ transport: "mtls" })] } }), {
      credentials,
    });
    for (let round = 0; round < 3; round++) expect((await ask(client)).text).toBe("over mTLS");
    expect(client.counters()).toMatchObject({ handshakes: 1 });
    credentials.set(await authority.issue({ serviceAccount: "productpage" }));
    for (let round = 0; round < 3; round++) expect((await ask(client)).text).toBe("over mTLS");
    expect(client.counters()).toMatchObject({ handshakes: 2 });
    const [first] = sockets;
    await vi.waitFor(() => expect(first?.destroyed).toBe(true));
  });

  test("refuses a server that cannot prove to be the service", async () => {
    const authority = await createTestAuthority();
    const shown = await authority.issue({ serviceAccount: "somebody-else" });
    await using server = await TestServer.https(
      { key: shown.privateKey, cert: shown.certificateChain, ca: [authority.root] },
      (_request, response) => response.end("not to be heard"),
    );
    const credentials = constant(await authority.issue({ serviceAccount: "productpage" }));
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint({ transport: "mtls" })] } }), {
      credentials,
    });
    const error = await failureOf(get("http://reviews/", { agent: client.agent }));
    expect(error).toMatchObject({ code: "IDENTITY_MISMATCH" });
  });

  test("hands over upgraded connections, which stay in flight until they are closed", async () => {
    await using server = await serve(() => undefined);
    server.server.on("upgrade", serveUpgrade);
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint] } }));
    const sent = request("http://reviews/", {
      agent: client.agent,
      headers: { connection: "upgrade", upgrade: "echo" },
    }).end();
    const [response, socket] = await once(sent, "upgrade");
    expect(response.headers).toMatchObject({ upgrade: "echo", "x-served-by": "reviews" });
    socket.write("said");
    expect(String((await once(socket, "data"))[0])).toBe("said");
    expect(inFlight(client)).toBe(1);
    socket.end();
    await once(socket.resume(), "close");
    await vi.waitFor(() => expect(inFlight(client)).toBe(0));
  });

  test("waits for 100-continue with the body", async () => {
    await using server = await serve(() => undefined);
    server.server.on("checkContinue", (request, response) => {
      response.writeContinue();
      request.pipe(response);
    });
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint] } }));
    const sent = request("http://reviews/", {
      agent: client.agent,
      method: "POST",
      headers: { expect: "100-continue" },
    });
    sent.flushHeaders();
    await once(sent, "continue");
    sent.end("awaited");
    expect((await answerTo(sent)).text).toBe("awaited");
  });

  test("hands hosts outside the mesh to the agent of their own, with https and its port", async () => {
    await using server = await serve((_request, response) => response.end("outside"));
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [] } }));
    expect((await ask(client, `http://127.0.0.1:${server.endpoint.port}/`)).text).toBe("outside");
    expect(client.counters()).toMatchObject({ outside: 1, calls: 0 });
  });

  test("may be the global agent, and hosts outside the mesh keep the one that was there", async () => {
    await using server = await serve((_request, response) => response.end("outside"));
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint] } }));
    const { default: http } = await import("node:http");
    const before = http.globalAgent;
    http.globalAgent = client.agent;
    try {
      expect((await answerTo(http.get("http://reviews/"))).text).toBe("outside");
      expect((await answerTo(http.get(`http://127.0.0.1:${server.endpoint.port}/`))).text).toBe("outside");
    } finally {
      http.globalAgent = before;
    }
    expect(client.counters()).toMatchObject({ outside: 1, calls: 1 });
  });

  test("hands hosts outside the mesh over TLS to the agent for TLS, with the options that were meant for it", async () => {
    const { request: requestTls } = await import("node:https");
    const authority = await createTestAuthority();
    const shown = await authority.issue({ serviceAccount: "outside" });
    await using server = await TestServer.https(
      { key: shown.privateKey, cert: shown.certificateChain },
      (_request, response) => response.end("outside over TLS"),
    );
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [] } }));
    const sent = requestTls(`https://127.0.0.1:${server.port}/`, {
      agent: client.agent as never,
      ca: authority.root,
      checkServerIdentity: () => undefined,
    });
    expect((await answerTo(sent.end())).text).toBe("outside over TLS");
  });

  test("names the service's way of writing where a URL says https", async () => {
    const { request: requestTls } = await import("node:https");
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [endpointAt(1)] } }));
    const error = await failureOf(requestTls("https://reviews/", { agent: client.agent as never }).end());
    expect(error).toMatchObject({ code: "UNKNOWN_SERVICE", message: expect.stringContaining("write http://") });
  });

  describe("under a rule", () => {
    const ruled = (endpoints: readonly Endpoint[], rule: RouteRule) =>
      clientOf(
        snapshotOf({
          reviews: { endpoints, routes: [{ kind: "Route", name: "reviews", services: ["reviews"], rules: [rule] }] },
        }),
      );

    test("that answers directly, gets that answer without a connection", async () => {
      await using client = ruled([], { directResponse: { status: 410, body: "gone", headers: { "X-Rule": "yes" } } });
      const { statusCode, headers, text } = await ask(client);
      expect([statusCode, headers["x-rule"], text]).toEqual([410, "yes", "gone"]);
      expect(client.counters()).toMatchObject({ connections: 0 });
    });

    test("that answers a body directly, throws the body away", async () => {
      await using client = ruled([], { directResponse: { status: 200, body: "no need" } });
      const sent = request("http://reviews/", { agent: client.agent, method: "POST" });
      sent.end("a body");
      expect((await answerTo(sent)).text).toBe("no need");
    });

    test("that redirects, gets the redirect", async () => {
      await using client = ruled([], { redirect: { host: "example.org", status: 308 } });
      const { statusCode, headers } = await ask(client, "http://reviews/7");
      expect([statusCode, headers.location]).toEqual([308, "http://example.org/7"]);
    });

    test("that injects a fault, gets the fault", async () => {
      await using client = ruled([], { fault: { abort: { status: 418 } } });
      expect((await ask(client)).statusCode).toBe(418);
    });

    test.each([
      ["without a body", (sent: ClientRequest) => sent.end(), ""],
      ["with a body in one piece", (sent: ClientRequest) => sent.end("one piece"), "one piece"],
      [
        "with a body in pieces",
        (sent: ClientRequest) => {
          sent.write("in ");
          sent.write("two ");
          sent.end("pieces");
        },
        "in two pieces",
      ],
      [
        "with a body whose end comes late",
        (sent: ClientRequest) => sent.write("in pieces, some of them"),
        "in pieces, some of them late",
      ],
      ["with bytes", (sent: ClientRequest) => sent.end(Buffer.from("bytes")), "bytes"],
      [
        "that flushed its headers",
        (sent: ClientRequest) => {
          sent.flushHeaders();
          sent.end("late");
        },
        "late",
      ],
    ] as const)("that rewrites after a delay, sends what the rule says %s", async (_name, write, body) => {
      await using server = await serve(async (request, response) => {
        const heard = await text(request);
        response.end(JSON.stringify({ url: request.url, body: heard, ...request.headers }));
      });
      await using client = ruled([server.endpoint], {
        match: [{ path: { prefix: "/old" } }],
        fault: { delay: { fixed: "1ms" } },
        rewrite: { prefix: "/new" },
        requestHeaders: { set: { "X-Rule": "a longer value than nothing at all" } },
      });
      const sent = request("http://reviews/old/7", { agent: client.agent, method: body === "" ? "GET" : "POST" });
      const answered = answerTo(sent);
      write(sent);
      const later = body === "in pieces, some of them late";
      if (later) await once(server.server, "request").then(() => sent.end(" late"));
      expect(JSON.parse((await answered).text)).toMatchObject({
        url: "/new/7",
        body,
        "x-rule": "a longer value than nothing at all",
        "x-envoy-attempt-count": "1",
      });
    });

    test("that rewrites, sends what the rule says with a body that waits for 100-continue", async () => {
      await using server = await serve(() => undefined);
      server.server.on("checkContinue", async (request, response) => {
        response.writeContinue();
        response.end(`${request.url} ${await text(request)}`);
      });
      await using client = ruled([server.endpoint], {
        match: [{ path: { prefix: "/old" } }],
        rewrite: { prefix: "/new" },
      });
      const sent = request("http://reviews/old", {
        agent: client.agent,
        method: "POST",
        headers: { expect: "100-continue" },
      });
      sent.once("continue", () => sent.end("awaited"));
      expect((await answerTo(sent)).text).toBe("/new awaited");
    });

    test("that rewrites path, host and headers, sends what the rule says", async () => {
      await using server = await serve((request, response) =>
        response.end(JSON.stringify({ url: request.url, raw: request.rawHeaders })),
      );
      await using client = ruled([server.endpoint], {
        match: [{ path: { prefix: "/old" } }],
        rewrite: { prefix: "/new", host: "ratings" },
        requestHeaders: { set: { "X-Rule": "yes" }, remove: ["x-secret"] },
      });
      const told = JSON.parse((await ask(client, "http://reviews/old/7", { headers: { "X-Secret": "s" } })).text);
      expect(told.url).toBe("/new/7");
      expect(told.raw).toEqual(expect.arrayContaining(["X-Rule", "yes", "ratings"]));
      expect(told.raw).not.toContain("X-Secret");
    });
  });
});
