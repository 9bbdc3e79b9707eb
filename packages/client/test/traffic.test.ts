import { once } from "node:events";
import { request as httpRequest, type IncomingMessage, type RequestOptions } from "node:http";
import { Readable } from "node:stream";
import type { RoutePolicy, RouteRule, ServiceKey } from "@tulle/policy";
import { FakeClock } from "@tulle/testing";
import { Watchable } from "@tulle/time";
import { afterEach, describe, expect, test, vi } from "vitest";
import { explain } from "../src/explain.ts";
import { undici } from "../src/transport/undici.ts";
import { clientOf, type RunningServer, serve, snapshotOf } from "./mesh-of-servers.ts";

const versions = { v1: { version: "v1" }, v2: { version: "v2" } };
const routeOf = (rule: RouteRule): RoutePolicy => ({
  kind: "Route",
  name: "reviews",
  services: ["reviews"],
  rules: [rule],
});
const serveVersion = (version: string): Promise<RunningServer> =>
  serve((_request, response) => response.setHeader("set-cookie", ["app=1", "theme=dark"]).end(version), { version });

type Client = ReturnType<typeof clientOf>;

/** What a caller sees, whichever face it used. */
interface Seen {
  readonly status: number;
  readonly cookies: readonly string[];
  readonly contentType: string | null;
  readonly text: string;
}

interface Asked {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly path?: string;
}

/** One call through each face that has its own way of handing a reply over. */
const faces: readonly [string, (client: Client, asked?: Asked) => Promise<Seen>][] = [
  [
    "mesh.fetch",
    async (client, { path = "/", ...init } = {}) => {
      const response = await client.fetch(`http://reviews${path}`, init);
      return {
        status: response.status,
        cookies: response.headers.getSetCookie(),
        contentType: response.headers.get("content-type"),
        text: await response.text(),
      };
    },
  ],
  [
    "mesh.request",
    async (client, { path = "/", ...init } = {}) =>
      seenOf(await client.request(`http://reviews${path}`, init as object)),
  ],
  [
    "undici.request over the dispatcher",
    async (client, { path = "/", ...init } = {}) =>
      seenOf(await undici.request(`http://reviews${path}`, { ...(init as object), dispatcher: client.dispatcher })),
  ],
  [
    "the built-in fetch",
    async (client, { path = "/", ...init } = {}) => {
      client.install();
      const response = await fetch(`http://reviews${path}`, init);
      return {
        status: response.status,
        cookies: response.headers.getSetCookie(),
        contentType: response.headers.get("content-type"),
        text: await response.text(),
      };
    },
  ],
];

const seenOf = async ({
  statusCode,
  headers,
  body,
}: Awaited<ReturnType<Client["request"]>> | Awaited<ReturnType<typeof undici.request>>): Promise<Seen> => ({
  status: statusCode,
  cookies: [headers["set-cookie"] ?? []].flat(),
  contentType: typeof headers["content-type"] === "string" ? headers["content-type"] : null,
  text: await body.text(),
});

const uninstall: Client[] = [];
afterEach(() => {
  for (const client of uninstall.splice(0)) client.uninstall();
});
const open = (...made: Parameters<typeof clientOf>): Client => {
  const client = clientOf(...made);
  uninstall.push(client);
  return client;
};

describe.each(faces)("over %s", (_face, ask) => {
  test("equal keys of a sticky split meet equal versions, shared by weight", async () => {
    await using v1 = await serveVersion("v1");
    await using v2 = await serveVersion("v2");
    const routes = [
      routeOf({
        sticky: [{ header: "x-user", terminal: true }, { cookie: "user" }],
        split: [
          { subset: "v1", weight: 4 },
          { subset: "v2", weight: 1 },
        ],
      }),
    ];
    const snapshot = snapshotOf({
      reviews: { endpoints: [v1.endpoint, v2.endpoint], routes, policy: { subsets: versions } },
    });
    await using client = open(snapshot);
    await using other = clientOf(snapshot, { service: "details" });
    let second = 0;
    for (let user = 0; user < 60; user++) {
      const headers: Record<string, string> =
        user % 2 === 0 ? { "x-user": `user-${user}` } : { cookie: `a=b; user=user-${user}` };
      const { text } = await ask(client, { headers });
      expect((await ask(client, { headers })).text).toBe(text);
      expect(client.explain("http://reviews/", { headers }).subset).toBe(text);
      const elsewhere = await other.request("http://reviews/", { headers });
      expect(await elsewhere.body.text()).toBe(text);
      if (text === "v2") second++;
    }
    // A fifth of 60 within five standard deviations: 12 plus or minus 15.5.
    expect(second).toBeGreaterThan(0);
    expect(second).toBeLessThan(28);
  });

  test("a session stays through changes of the weights, and the service's own cookies are untouched", async () => {
    await using v1 = await serveVersion("v1");
    await using v2 = await serveVersion("v2");
    const under = (split: RouteRule["split"]) =>
      snapshotOf({
        reviews: {
          endpoints: [v1.endpoint, v2.endpoint],
          routes: [routeOf({ split: split ?? [], sessionAffinity: { cookie: {}, ttl: "1h" } })],
          policy: { subsets: versions },
        },
      });
    const outbound = new Watchable(under([{ subset: "v1", weight: 0 }, { subset: "v2" }]));
    await using client = open(outbound);
    const first = await ask(client);
    const [app, theme, session = ""] = first.cookies;
    expect([first.text, app, theme]).toEqual(["v2", "app=1", "theme=dark"]);
    expect(session).toMatch(/^tulle-session=1\.[^;]+; Path=\/; Max-Age=3600; HttpOnly$/);
    const headers = { cookie: session.split(";")[0] ?? "" };

    outbound.set(under([{ subset: "v1" }, { subset: "v2", weight: 0 }]));
    const kept = await ask(client, { headers });
    expect([kept.text, kept.cookies]).toEqual(["v2", ["app=1", "theme=dark"]]);
    expect((await ask(client)).text).toBe("v1");

    outbound.set(under([{ subset: "v1" }]));
    const moved = await ask(client, { headers });
    expect([moved.text, moved.cookies.length]).toEqual(["v1", 3]);
  });

  test("a fault's abort is an answer, and the service hears nothing", async () => {
    let heard = 0;
    await using v1 = await serve((_request, response) => {
      heard++;
      response.end("v1");
    });
    const routes = [
      routeOf({
        fault: { headers: { "end-user": { exact: "jason" } }, abort: { status: 503 } },
        retry: { nonIdempotent: true },
      }),
    ];
    await using client = open(snapshotOf({ reviews: { endpoints: [v1.endpoint], routes } }));
    const headers = { "end-user": "jason" };
    expect(await ask(client, { headers })).toEqual({
      status: 503,
      cookies: [],
      contentType: "text/plain",
      text: "fault filter abort",
    });
    expect(await ask(client, { method: "HEAD", headers })).toMatchObject({ status: 503, text: "" });
    expect([heard, client.counters().faultAborts, client.counters().retries]).toEqual([0, 2, 0]);
    expect(await ask(client)).toMatchObject({ status: 200, text: "v1" });
  });

  test("a call that speaks gRPC is aborted as gRPC wants it", async () => {
    await using v1 = await serveVersion("v1");
    const routes = [routeOf({ fault: { abort: { grpcStatus: "UNAVAILABLE" } } })];
    await using client = open(snapshotOf({ reviews: { endpoints: [v1.endpoint], routes } }));
    const headers = { "content-type": "application/grpc" };
    expect(await ask(client, { headers })).toMatchObject({ status: 200, contentType: "application/grpc", text: "" });
    expect((await ask(client)).status).toBe(503);
  });
});

describe("over the agent of node:http", () => {
  const ask = async (client: Client, options: RequestOptions = {}): Promise<{ status: number; text: string }> => {
    const sent = httpRequest("http://reviews/", { agent: client.agent, ...options }).end();
    const [reply] = (await once(sent, "response")) as [IncomingMessage];
    let text = "";
    for await (const chunk of reply) text += String(chunk);
    return { status: reply.statusCode ?? 0, text };
  };

  test("a fault's abort is an answer", async () => {
    const routes = [routeOf({ fault: { abort: { status: 418 } } })];
    await using client = open(snapshotOf({ reviews: { endpoints: [], routes } }));
    expect(await ask(client)).toEqual({ status: 418, text: "fault filter abort" });
  });

  test("calls without a body are copied; of others Node.js has the body", async () => {
    const heard: (string | undefined)[] = [];
    await using v1 = await serve((_request, response) => response.end("v1"), { version: "v1" });
    await using v2 = await serve(
      (request, response) => {
        heard.push(`${request.method} ${request.headers.host}`);
        response.end();
      },
      { version: "v2" },
    );
    const routes = [routeOf({ split: [{ subset: "v1" }], mirror: [{ subset: "v2" }] })];
    const endpoints = [v1.endpoint, v2.endpoint];
    await using client = open(snapshotOf({ reviews: { endpoints, routes, policy: { subsets: versions } } }));
    expect((await ask(client)).text).toBe("v1");
    expect((await ask(client, { method: "POST", headers: { "content-length": "0" } })).text).toBe("v1");
    await vi.waitFor(() => expect(heard).toEqual(["GET reviews-shadow"]));
    expect(client.counters()).toMatchObject({ mirrored: 1, mirrorsWithoutBody: 1 });
  });
});

describe("faults", () => {
  test("a delay comes before the call, is told, and is not taken from the rule's timeout", async () => {
    await using v1 = await serveVersion("v1");
    const routes = [routeOf({ fault: { delay: { fixed: "3s" } }, timeout: "2s" })];
    const clock = new FakeClock();
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [v1.endpoint], routes } }), { clock });
    expect(client.explain("http://reviews/").steps).toEqual(["fault"]);
    const asked = client.request("http://reviews/");
    await clock.advanceAsync(3_000);
    const { statusCode, body, context } = await asked;
    await body.dump();
    expect(statusCode).toBe(200);
    const told = explain(context);
    expect(told).toMatchObject({ flags: ["DI"], injectedDelayMs: 3_000 });
    expect(String(told)).toContain("held up by a fault for 3000.0 ms (DI)");
  });

  test("an apply during a delay frees no places; the call goes on under the rule that held it up", async () => {
    await using v1 = await serveVersion("v1");
    const under = (fixed: "3s" | "4s") =>
      snapshotOf({
        reviews: {
          endpoints: [v1.endpoint],
          routes: [routeOf({ name: "slow", fault: { delay: { fixed }, maxActive: 1 } })],
        },
      });
    const outbound = new Watchable(under("3s"));
    const clock = new FakeClock();
    await using client = clientOf(outbound, { clock });
    const held = client.request("http://reviews/");
    outbound.set(under("4s"));
    const passed = await client.request("http://reviews/");
    expect([passed.statusCode, client.counters().faultsOverLimit]).toEqual([200, 1]);
    await passed.body.dump();
    await clock.advanceAsync(3_000);
    const { statusCode, body } = await held;
    await body.dump();
    expect([statusCode, client.counters().faultDelays]).toEqual([200, 1]);
  });

  test("a service that leaves during a delay is a typed failure of the call", async () => {
    const routes = [routeOf({ fault: { delay: { fixed: "3s" } } })];
    await using v1 = await serveVersion("v1");
    const outbound = new Watchable(snapshotOf({ reviews: { endpoints: [v1.endpoint], routes } }));
    const clock = new FakeClock();
    await using client = clientOf(outbound, { clock });
    const held = client.fetch("http://reviews/", { mesh: { retry: false } }).catch((error: unknown) => error);
    outbound.set(snapshotOf({}));
    await clock.advanceAsync(3_000);
    expect(await held).toMatchObject({ code: "NO_HEALTHY_ENDPOINT" });
  });

  test("a caller that goes away during a delay leaves nothing behind", async () => {
    const routes = [routeOf({ fault: { delay: { fixed: "1h" } } })];
    const clock = new FakeClock();
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [], routes } }), { clock });
    const gone = new AbortController();
    const asked = client.fetch("http://reviews/", { signal: gone.signal });
    expect(clock.pendingTimers).toBe(1);
    gone.abort();
    await expect(asked).rejects.toMatchObject({ name: "AbortError" });
    expect(clock.pendingTimers).toBe(0);
  });

  test("a call that is held up ends with the mesh", async () => {
    const routes = [routeOf({ fault: { delay: { fixed: "1h" } } })];
    const client = clientOf(snapshotOf({ reviews: { endpoints: [], routes } }));
    const asked = client.fetch("http://reviews/").catch((error: unknown) => error);
    await client.close();
    expect(await asked).toMatchObject({ code: "MESH_CLOSED" });
  });

  test("the body of a call that is answered by a fault is let go", async () => {
    const routes = [routeOf({ fault: { abort: { status: 500 } } })];
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [], routes } }));
    const body = new Readable({ read: () => undefined });
    const { statusCode } = await client.request("http://reviews/", { method: "POST", body });
    expect([statusCode, body.destroyed]).toEqual([500, true]);
  });
});

describe("mirrors", () => {
  const bodyOf = async (request: IncomingMessage): Promise<string> => {
    let body = "";
    for await (const chunk of request) body += String(chunk);
    return body;
  };

  test("a copy says what the call says, and neither its failure nor its silence concerns the call", async () => {
    const shadows: object[] = [];
    await using v1 = await serve((_request, response) => response.end("v1"), { version: "v1" });
    await using silent = await serve(
      (request) =>
        void bodyOf(request).then((body) => shadows.push({ body, host: request.headers.host, url: request.url })),
      { version: "v2" },
    );
    await using failing = await serve((_request, response) => response.writeHead(500).end("x".repeat(200_000)));
    const routes = [
      routeOf({ split: [{ subset: "v1" }], mirror: [{ subset: "v2" }, { service: "ratings" }], timeout: "5s" }),
    ];
    const client = clientOf(
      snapshotOf({
        reviews: { endpoints: [v1.endpoint, silent.endpoint], routes, policy: { subsets: versions } },
        ratings: { endpoints: [failing.endpoint] },
      }),
    );
    for (const body of ["", "stars"]) {
      const method = body === "" ? "GET" : "POST";
      const reply = await client.request("http://reviews:80/7?a=b", { method, body: body === "" ? null : body });
      expect([reply.statusCode, await reply.body.text()]).toEqual([200, "v1"]);
    }
    await vi.waitFor(() => expect(shadows.length).toBe(2));
    expect(shadows).toEqual([
      { body: "", host: "reviews-shadow", url: "/7?a=b" },
      { body: "stars", host: "reviews-shadow", url: "/7?a=b" },
    ]);
    expect(client.counters()).toMatchObject({ calls: 2, mirrored: 4, retries: 0, mirrorsFailed: 0 });
    await client.close();
    await vi.waitFor(() => expect(client.counters().mirrorsFailed).toBe(2));
  });

  test("copies that fail open no circuit of the calls to the same destination", async () => {
    await using server = await serve((request, response) =>
      response.writeHead(request.headers.host === "reviews-shadow" ? 503 : 200).end(),
    );
    const routes = [routeOf({ mirror: [{ service: "reviews" }] })];
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint], routes } }));
    for (let call = 0; call < 60; call++) {
      const reply = await client.request("http://reviews/");
      await reply.body.dump();
      expect(reply.statusCode).toBe(200);
    }
    await vi.waitFor(() => expect(client.counters()).toMatchObject({ mirrored: 60 }));
  });

  test("no more copies than allowed are under way, and calls go on without", async () => {
    await using v1 = await serve((_request, response) => response.end("v1"), { version: "v1" });
    await using silent = await serve(() => undefined, { version: "v2" });
    const routes = [routeOf({ split: [{ subset: "v1" }], mirror: [{ subset: "v2", maxInFlight: 3 }] })];
    const client = clientOf(
      snapshotOf({ reviews: { endpoints: [v1.endpoint, silent.endpoint], routes, policy: { subsets: versions } } }),
    );
    for (let call = 0; call < 10; call++) await (await client.fetch("http://reviews/")).text();
    expect(client.counters()).toMatchObject({ mirrored: 3, mirrorsOverLimit: 7 });
    await client.close();
  });

  test("streams go to the service alone", async () => {
    await using v1 = await serve((request, response) => void bodyOf(request).then((body) => response.end(body)), {
      version: "v1",
    });
    await using v2 = await serve((_request, response) => response.end("v2"), { version: "v2" });
    const routes = [routeOf({ split: [{ subset: "v1" }], mirror: [{ subset: "v2" }] })];
    await using client = clientOf(
      snapshotOf({ reviews: { endpoints: [v1.endpoint, v2.endpoint], routes, policy: { subsets: versions } } }),
    );
    const body = Readable.from([Buffer.from("one "), Buffer.from("two")]);
    const reply = await client.request("http://reviews/", { method: "POST", body });
    expect(await reply.body.text()).toBe("one two");
    expect(client.counters()).toMatchObject({ mirrored: 0, mirrorsWithoutBody: 1 });
  });

  test("a mirror's service that is not known yet holds no call up, and is copied to when it is", async () => {
    let heard = 0;
    await using v1 = await serve((_request, response) => response.end("v1"));
    await using ratings = await serve((_request, response) => {
      heard++;
      response.end();
    });
    const routes = [routeOf({ mirror: [{ service: "ratings" }] })];
    const reviews = { endpoints: [v1.endpoint], routes };
    const before = snapshotOf({ reviews });
    const outbound = new Watchable(before);
    const asked: ServiceKey[] = [];
    await using client = clientOf(outbound, {
      discover: (service) => {
        asked.push(service);
        const after = snapshotOf({ reviews, ratings: { endpoints: [ratings.endpoint] } });
        // As the agent does: parts that did not change keep their identity.
        const known = before.services.get("default/reviews");
        if (known !== undefined) outbound.set({ ...after, services: new Map([...after.services, [known.key, known]]) });
        return Promise.resolve();
      },
    });
    expect(await (await client.fetch("http://reviews/")).text()).toBe("v1");
    expect([asked, client.counters().mirrorsUndiscovered]).toEqual([["default/ratings"], 1]);
    expect(await (await client.fetch("http://reviews/")).text()).toBe("v1");
    await vi.waitFor(() => expect(heard).toBe(1));
    expect(client.counters()).toMatchObject({ mirrored: 1, mirrorsFailed: 0 });
  });
});
