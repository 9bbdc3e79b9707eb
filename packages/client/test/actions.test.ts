import { once } from "node:events";
import { get as httpGet, type IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { type Endpoint, externalService, type RouteRule, route, service } from "@tulle/policy";
import { describe, expect, test } from "vitest";
import { explain } from "../src/explain.ts";
import { undici } from "../src/transport/undici.ts";
import { clientOf, type RunningServer, serve, snapshotOf } from "./mesh-of-servers.ts";
import { snapshotOfPolicies } from "./outside-kit.ts";

type TestClient = ReturnType<typeof clientOf>;

/** What a service got, as it told it. */
interface Echo {
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly version: string | undefined;
}

/** A service that answers with what it got, and with headers whose order, casing and duplicates matter. */
const echo = (version?: string): Promise<RunningServer> =>
  serve(
    (request, response) => {
      const { method = "", url = "", headers } = request;
      request.resume();
      response.writeHead(200, ["X-Up", "1", "x-old", "a", "X-OLD", "b", "Set-Cookie", "a=1", "Set-Cookie", "b=2"]);
      response.end(JSON.stringify({ method, path: url, host: headers.host, headers, version }));
    },
    version === undefined ? {} : { version },
  );

const meshOf = (endpoints: readonly Endpoint[], ...rules: readonly RouteRule[]): TestClient =>
  clientOf(
    snapshotOf({
      reviews: {
        endpoints,
        routes: [{ kind: "Route", name: "reviews", services: ["reviews"], rules }],
        policy: { subsets: { v1: { version: "v1" }, v2: { version: "v2" } } },
      },
    }),
  );

interface Asked {
  readonly method?: "GET" | "HEAD" | "POST" | "OPTIONS";
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly body?: Readable;
}

/** A reply in the form that all faces share. */
interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** `undefined` where a face has nothing to explain by. */
  readonly explanation: string | undefined;
}

const joined = (headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, [value].flat().join(", ")]],
    ),
  );

type Face = (client: TestClient, asked: Asked) => Promise<Answer>;

const url = (path = "/"): string => `http://reviews${path}`;

const GENERATOR_FACE = "undici's fetch over the dispatcher";

const faces: readonly (readonly [name: string, face: Face])[] = [
  [
    "fetch",
    async (client, { path, body, ...init }) => {
      const response = await client.fetch(url(path), {
        ...init,
        redirect: "manual",
        ...(body === undefined
          ? {}
          : { body: Readable.toWeb(body) as unknown as NonNullable<RequestInit["body"]>, duplex: "half" }),
      });
      const headers = joined(Object.fromEntries(response.headers));
      return { status: response.status, headers, body: await response.text(), explanation: String(explain(response)) };
    },
  ],
  [
    "request",
    async (client, { path, body, ...options }) => {
      const data = await client.request(url(path), { ...options, body: body ?? null });
      const text = await data.body.text();
      return { status: data.statusCode, headers: joined(data.headers), body: text, explanation: String(explain(data)) };
    },
  ],
  [
    "undici's request over the dispatcher",
    async ({ dispatcher }, { path, body, ...options }) => {
      const data = await undici.request(url(path), { ...options, body: body ?? null, dispatcher });
      const text = await data.body.text();
      return { status: data.statusCode, headers: joined(data.headers), body: text, explanation: String(explain(data)) };
    },
  ],
  [
    GENERATOR_FACE,
    async ({ dispatcher }, { path, body, ...init }) => {
      const response = await undici.fetch(url(path), {
        ...init,
        redirect: "manual",
        dispatcher,
        ...(body === undefined ? {} : { body, duplex: "half" }),
      });
      const headers = joined(Object.fromEntries(response.headers));
      return { status: response.status, headers, body: await response.text(), explanation: undefined };
    },
  ],
];

const echoOf = ({ body }: Answer): Echo => JSON.parse(body) as Echo;

/** A body that can be read only once, and tells whether it was given up. */
const onceOnly = (): Readable => new Readable({ read: () => undefined });

describe.each(faces)("over %s", (name, call) => {
  test("a redirect is answered, and nothing is sent", async () => {
    await using client = meshOf([], {
      match: [{ path: { prefix: "/old" } }],
      redirect: { prefix: "/new", host: "example.org", status: 308 },
      responseHeaders: { set: { "X-Rule": "yes" } },
    });
    const answer = await call(client, { path: "/old/7?a=b" });
    expect(answer).toMatchObject({ status: 308, body: "" });
    expect(answer.headers).toEqual({
      location: "http://example.org/new/7?a=b",
      "content-length": "0",
      "x-rule": "yes",
    });
    expect(answer.explanation ?? "").toMatch(
      /^$|answered by the mesh: redirect 308 to http:\/\/example\.org\/new\/7\?a=b/,
    );
  });

  test("a direct response has its status, its headers and its text", async () => {
    await using client = meshOf([], {
      directResponse: { status: 503, body: "closed for the night", headers: { "Retry-After": "60" } },
    });
    const answer = await call(client, {});
    expect(answer).toMatchObject({ status: 503, body: "closed for the night" });
    expect(answer.headers).toEqual({ "content-type": "text/plain", "content-length": "20", "retry-after": "60" });
    expect(answer.explanation ?? "").toMatch(/^$|answered by the mesh: direct response 503/);
  });

  test("HEAD gets the headers of a direct response without its body", async () => {
    await using client = meshOf([], { directResponse: { status: 200, body: "hello" } });
    const answer = await call(client, { method: "HEAD" });
    expect(answer).toMatchObject({ status: 200, body: "", headers: { "content-length": "5" } });
  });

  test("204 has neither body nor length", async () => {
    await using client = meshOf([], { directResponse: { status: 204 } });
    const answer = await call(client, {});
    expect(answer).toMatchObject({ status: 204, body: "", headers: {} });
  });

  test("a streaming body that nobody will read is given up", async () => {
    await using client = meshOf([], { directResponse: { status: 200, body: "no need" } });
    const body = onceOnly();
    const answer = await call(client, { method: "POST", body });
    expect(answer).toMatchObject({ status: 200, body: "no need" });
    // undici's fetch hands over a generator that was never begun, and what was never begun cannot be ended.
    if (name !== GENERATOR_FACE) await expect.poll(() => body.destroyed).toBe(true);
  });

  test("path and host are rewritten, the query is kept", async () => {
    await using server = await echo();
    await using client = meshOf([server.endpoint], {
      match: [{ path: { prefix: "/v1/" } }],
      rewrite: { prefix: "/api/", host: "my-custom-authority" },
    });
    const answer = await call(client, { path: "/v1/reviews/7?a=b" });
    expect(echoOf(answer)).toMatchObject({ path: "/api/reviews/7?a=b", host: "my-custom-authority" });
    expect(answer.explanation ?? "").toMatch(/^$|sent as http:\/\/my-custom-authority\/api\/reviews\/7\?a=b/);
  });

  test("what a pattern finds in the path is replaced", async () => {
    await using server = await echo();
    await using client = meshOf([server.endpoint], {
      rewrite: { regex: { pattern: "/(\\w+)/(\\d+)", substitution: "/\\2/of/\\1" } },
    });
    expect(echoOf(await call(client, { path: "/reviews/7/ratings/9?x=/a/1" })).path).toBe(
      "/7/of/reviews/9/of/ratings?x=/a/1",
    );
  });

  test("headers are changed both ways, the rule's after the destination's", async () => {
    await using server = await echo("v1");
    await using client = meshOf([server.endpoint], {
      split: [
        {
          subset: "v1",
          requestHeaders: { set: { "X-Both": "destination", "X-Mine": "destination" }, add: { "X-Added": "1" } },
          responseHeaders: { set: { "X-Both": "destination" }, add: { "X-Up": "2" } },
        },
      ],
      requestHeaders: { remove: ["X-Gone"], set: { "X-Both": "rule" }, add: { "X-Added": "2" } },
      responseHeaders: { remove: ["x-old"], set: { "X-Both": "rule" }, add: { "X-Up": "3" } },
    });
    const answer = await call(client, { headers: { "x-gone": "1", "x-both": "caller", "x-added": "0" } });
    const { headers } = echoOf(answer);
    expect(headers).toMatchObject({ "x-both": "rule", "x-mine": "destination", "x-added": "0, 1, 2" });
    expect(headers).not.toHaveProperty("x-gone");
    expect(answer.headers).toMatchObject({ "x-up": "1, 2, 3", "x-both": "rule" });
    expect(answer.headers).not.toHaveProperty("x-old");
    expect(answer.headers["set-cookie"]).toContain("b=2");
    expect(answer.explanation ?? "").toMatch(/^$|sent headers: removes X-Gone; sets X-Both; adds X-Added/);
  });

  test("a preflight of an allowed origin is answered, and other calls are marked", async () => {
    await using server = await echo();
    await using client = meshOf([server.endpoint], {
      cors: { allowOrigins: [{ exact: "http://cors.com" }], allowMethods: ["POST", "GET"], maxAge: "24h" },
    });
    const headers = { origin: "http://cors.com", "access-control-request-method": "DELETE" };
    const preflight = await call(client, { method: "OPTIONS", headers });
    expect(preflight).toMatchObject({ status: 200, body: "" });
    expect(preflight.headers).toMatchObject({
      "access-control-allow-origin": "http://cors.com",
      "access-control-allow-methods": "POST,GET",
      "access-control-max-age": "86400",
    });
    const marked = await call(client, { headers: { origin: "http://cors.com" } });
    expect(marked.headers).toMatchObject({ "access-control-allow-origin": "http://cors.com", vary: "Origin" });
    const other = await call(client, { method: "OPTIONS", headers: { ...headers, origin: "http://other.com" } });
    expect(echoOf(other).method).toBe("OPTIONS");
    expect(other.headers).not.toHaveProperty("access-control-allow-origin");
  });
});

describe("actions", () => {
  test("mesh.fetch follows a redirect to another rule, and to another host of the mesh", async () => {
    await using server = await echo();
    await using client = meshOf(
      [server.endpoint],
      { match: [{ path: { exact: "/foo" } }], redirect: { path: "/new/path" } },
      { match: [{ path: { exact: "/away" } }], redirect: { host: "reviews.default", path: "/there", status: 303 } },
    );
    const followed = await client.fetch("http://reviews/foo?key=value");
    expect(await followed.json()).toMatchObject({ path: "/new/path?key=value" });
    expect(followed).toMatchObject({ redirected: true, url: "http://reviews/new/path?key=value" });
    const away = await client.fetch("http://reviews/away", { method: "POST", body: "x" });
    expect(await away.json()).toMatchObject({ method: "GET", path: "/there", host: "reviews.default" });
  });

  test("a redirect leads out of the mesh by whatever takes outside calls", async () => {
    const agent = new undici.MockAgent();
    agent.disableNetConnect();
    agent.get("http://example.org").intercept({ path: "/reviews" }).reply(200, "outside");
    const snapshot = snapshotOf({
      reviews: {
        endpoints: [],
        routes: [{ kind: "Route", name: "r", services: ["reviews"], rules: [{ redirect: { host: "example.org" } }] }],
      },
    });
    await using client = clientOf(snapshot, { outside: agent });
    expect(await (await client.fetch("http://reviews/reviews")).text()).toBe("outside");
    await agent.close();
  });

  test("a request of node:http gets the mesh's answers, and is sent as the rule says", async () => {
    await using server = await echo();
    await using client = meshOf(
      [server.endpoint],
      { match: [{ path: { exact: "/old" } }], redirect: { path: "/new" } },
      { match: [{ path: { exact: "/closed" } }], directResponse: { status: 403, body: "closed" } },
      { rewrite: { path: "/all", host: "elsewhere" }, requestHeaders: { set: { "X-A": "rule" }, remove: ["x-b"] } },
    );
    const get = async (path: string): Promise<[number | undefined, string | undefined, string]> => {
      const request = httpGet(`http://reviews${path}`, {
        agent: client.agent,
        headers: { "x-a": "caller", "x-b": "1" },
      });
      const [response] = (await once(request, "response")) as [IncomingMessage];
      return [response.statusCode, response.headers.location, await text(response)];
    };
    expect(await get("/old")).toEqual([301, "http://reviews/new", ""]);
    expect(await get("/closed")).toEqual([403, undefined, "closed"]);
    const [status, , body] = await get("/x?y");
    expect(status).toBe(200);
    const got = JSON.parse(body) as Echo;
    expect(got).toMatchObject({ path: "/all?y", host: "elsewhere", headers: { "x-a": "rule" } });
    expect(got.headers).not.toHaveProperty("x-b");
  });

  test("a call that was given up before it was answered is not answered", async () => {
    await using client = meshOf([], { directResponse: { status: 200, body: "late" } });
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(client.fetch("http://reviews/", { signal })).rejects.toThrow("enough");
    await expect(client.request("http://reviews/", { signal })).rejects.toThrow("enough");
    const given = undici.request("http://reviews/", { dispatcher: client.dispatcher, signal });
    await expect(given).rejects.toThrow("enough");
  });

  test("the rule's header goes before the destination's Host, which goes before the caller's", async () => {
    await using v1 = await echo("v1");
    const split = [{ subset: "v1", rewrite: { host: "dest-authority" } }];
    const hostOf = async (client: TestClient): Promise<unknown> =>
      ((await (await client.request("http://reviews/")).body.json()) as Echo).host;
    await using destination = meshOf([v1.endpoint], { split });
    expect(await hostOf(destination)).toBe("dest-authority");
    await using rule = meshOf([v1.endpoint], { split, rewrite: { host: "route-authority" } });
    expect(await hostOf(rule)).toBe("route-authority");
    await using automatic = meshOf([v1.endpoint], { split, rewrite: { autoHost: true } });
    expect(await hostOf(automatic)).toBe("reviews.default.svc.cluster.local");
    expect(automatic.explain("http://reviews/").sentAs).toBe("http://reviews.default.svc.cluster.local/");
  });

  test("a service outside the mesh is sent its own host, without the port that its scheme implies", async () => {
    const sentTo = async (options: object): Promise<string | undefined> => {
      const policies = [
        service("reviews"),
        externalService("payments", "api.payments.example", options),
        route(service("reviews")).to(service("payments"), { rewrite: { autoHost: true } }),
      ];
      await using client = clientOf(snapshotOfPolicies(policies));
      return client.explain("http://reviews/").sentAs;
    };
    expect(await sentTo({})).toBe("http://api.payments.example/");
    expect(await sentTo({ port: 8443 })).toBe("http://api.payments.example:8443/");
    expect(await sentTo({ tls: { mode: "disable" } })).toBe("http://api.payments.example/");
  });

  test("order, casing and duplicates of a reply survive a change of other headers", async () => {
    await using server = await echo();
    await using client = meshOf([server.endpoint], { responseHeaders: { set: { "X-New": "1" }, remove: ["date"] } });
    const { headers, body } = await client.request("http://reviews/", { responseHeaders: "raw" });
    await body.dump();
    // undici's types know no flat list, which its option asks for.
    const list = headers as unknown as readonly string[];
    expect(list.slice(0, 10)).toEqual([
      "X-Up",
      "1",
      "x-old",
      "a",
      "X-OLD",
      "b",
      "Set-Cookie",
      "a=1",
      "Set-Cookie",
      "b=2",
    ]);
    expect(list.slice(-2)).toEqual(["X-New", "1"]);
    expect(list.map((each) => each.toLowerCase())).not.toContain("date");
  });

  test.each(faces)(
    "over %s, an answer that stands for a failure is marked as the rule's replies are",
    async (_, call) => {
      await using client = clientOf(
        snapshotOf({
          reviews: {
            endpoints: [],
            routes: [
              {
                kind: "Route",
                name: "r",
                services: ["reviews"],
                rules: [
                  {
                    cors: { allowOrigins: [{ exact: "http://shop" }] },
                    responseHeaders: { set: { "X-Rule": "yes" } },
                    split: [{ responseHeaders: { set: { "X-Rule": "destination" } } }],
                  },
                ],
              },
            ],
          },
        }),
        { localReplies: "response" },
      );
      const answer = await call(client, { headers: { origin: "http://shop" } });
      expect(answer.status).toBe(503);
      expect(answer.headers).toMatchObject({
        "tulle-error": "NO_HEALTHY_ENDPOINT",
        "x-rule": "yes",
        "access-control-allow-origin": "http://shop",
        vary: "Origin",
      });
    },
  );

  test("a large body flows through a changed reply as fast as it is read, and breaks off when it is given up", async () => {
    const chunk = Buffer.alloc(65_536, "a");
    let written = 0;
    await using server = await serve((_request, response) => {
      const go = (): void => {
        while (written < 512 && response.write(chunk)) written++;
        if (written >= 512) response.end();
      };
      response.on("drain", go);
      go();
    });
    await using client = meshOf([server.endpoint], { responseHeaders: { set: { "X-Rule": "yes" } } });
    const give = new AbortController();
    const response = await client.fetch("http://reviews/", { signal: give.signal });
    expect(response.headers.get("x-rule")).toBe("yes");
    const reader = response.body!.getReader();
    await reader.read();
    // 32 MiB are on offer; what nobody reads stays at the server.
    expect(written).toBeLessThan(512);
    give.abort(new Error("enough"));
    await expect(
      (async () => {
        for (;;) if ((await reader.read()).done) return;
      })(),
    ).rejects.toThrow("enough");
  });

  test("the reply that the layers below see is the wire's", async () => {
    await using server = await serve((_request, response) => response.writeHead(503, { "retry-after": "1" }).end());
    await using client = meshOf([server.endpoint], { retry: false, responseHeaders: { remove: ["retry-after"] } });
    const response = await client.fetch("http://reviews/");
    expect(response.headers.get("retry-after")).toBeNull();
    expect(response.status).toBe(503);
  });

  test("what would happen is told without doing it", async () => {
    await using client = meshOf(
      [],
      { match: [{ path: { exact: "/old" } }], redirect: { path: "/new" } },
      { match: [{ path: { exact: "/closed" } }], directResponse: { status: 403 } },
      {
        cors: { allowOrigins: [{ exact: "*" }] },
        rewrite: { path: "/all" },
        requestHeaders: { set: { a: "b" } },
      },
    );
    expect(client.explain("http://reviews/old")).toMatchObject({
      answer: "redirect 301 to http://reviews/new",
      destinations: [],
      rule: "reviews/0",
    });
    expect(client.explain("http://reviews/closed").answer).toBe("direct response 403");
    const headers = { origin: "http://a", "access-control-request-method": "GET" };
    expect(client.explain("http://reviews/", { method: "OPTIONS", headers }).answer).toBe("CORS preflight");
    const ahead = client.explain("http://reviews/x?y");
    expect(ahead).toMatchObject({
      answer: undefined,
      sentAs: "http://reviews/all?y",
      changes: ["sent headers: sets a"],
    });
    expect(String(ahead)).toContain("  sent as http://reviews/all?y\n  sent headers: sets a\n");
  });

  test("a failure names what the caller asked for, not what was sent", async () => {
    await using client = meshOf([], { rewrite: { path: "/secret", host: "inside" }, retry: false });
    const failure: unknown = await client.fetch("http://reviews/asked").catch((error: unknown) => error);
    expect(failure).toMatchObject({ path: expect.arrayContaining(["GET http://reviews/asked"]) });
  });

  test("a rule with actions reads in the order in which a call meets them; one without has no step", async () => {
    await using client = meshOf(
      [],
      {
        name: "all",
        match: [{ path: { prefix: "/a" } }],
        split: [{ requestHeaders: { set: { a: "1" } }, responseHeaders: { set: { a: "1" } } }],
        rewrite: { prefix: "/b", host: "c" },
        requestHeaders: { set: { a: "2" } },
        responseHeaders: { set: { a: "2" } },
        cors: { allowOrigins: [{ exact: "*" }] },
      },
      { name: "plain" },
    );
    const names = (rule: string): readonly string[] =>
      (client.describeChain("default/reviews", rule) ?? "").split("\n").map((each) => each.split(":")[0] ?? "");
    expect(names("reviews/all").slice(0, 12)).toEqual([
      "observe call",
      "route",
      "cors",
      "change reply",
      "rewrite path",
      "rewrite host",
      "change request",
      "split",
      "change reply",
      "change request",
      "deadline",
      "retry",
    ]);
    expect(names("reviews/plain").slice(0, 4)).toEqual(["observe call", "route", "split", "deadline"]);
  });
});
