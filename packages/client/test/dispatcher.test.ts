import { AsyncLocalStorage } from "node:async_hooks";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { Readable, Writable } from "node:stream";
import { isMeshError } from "@tulle/policy";
import { Agent, type Dispatcher, Dispatcher1Wrapper, pipeline, request, stream } from "undici";
import { describe, expect, test, vi } from "vitest";
import { explain } from "../src/explain.ts";
import { clientOf, endpointAt, serve, snapshotOf } from "./mesh-of-servers.ts";

/** A server that takes one request and then drops its connection, as a process does that is killed. */
const serveAndDrop = async () => {
  let requests = 0;
  const server = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => {
      requests++;
      socket.resetAndDestroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    endpoint: endpointAt((server.address() as AddressInfo).port),
    requests: () => requests,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
};

describe("mesh.dispatcher", () => {
  test("carries every function of undici", async () => {
    await using reviews = await serve((incoming, response) => incoming.pipe(response));
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [reviews.endpoint] } }));
    const { dispatcher } = client;
    const viaRequest = await request("http://reviews/?a=b", { dispatcher, method: "POST", body: "one" });
    expect(await viaRequest.body.text()).toBe("one");

    const written: Buffer[] = [];
    const sink = () =>
      new Writable({
        write: (chunk, _encoding, done) => {
          written.push(chunk);
          done();
        },
      });
    await stream("http://reviews/", { dispatcher, method: "POST", body: Readable.from(["tw", "o"]) }, sink);
    expect(Buffer.concat(written).toString()).toBe("two");

    const piped = pipeline("http://reviews/", { dispatcher, method: "POST" }, ({ body }) => body);
    piped.end("three");
    expect(Buffer.concat(await piped.toArray()).toString()).toBe("three");
  });

  test("adds the query and keeps the caller's Host", async () => {
    await using reviews = await serve((incoming, response) => response.end(`${incoming.headers.host}${incoming.url}`));
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [reviews.endpoint] } }));
    const { body } = await client.request("http://reviews/a", { query: { b: 1 }, headers: { host: "shown.example" } });
    expect(await body.text()).toBe("shown.example/a?b=1");
  });

  test("control headers that a caller forwards are not sent", async () => {
    await using reviews = await serve((incoming, response) => response.end(JSON.stringify(incoming.headersDistinct)));
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [reviews.endpoint] } }));
    const { body } = await client.request("http://reviews/", {
      headers: { "X-Envoy-Attempt-Count": "9", "x-envoy-expected-rq-timeout-ms": "1", "x-mine": ["a", "b"] },
    });
    const seen = (await body.json()) as Record<string, string[]>;
    expect(seen["x-envoy-attempt-count"]).toEqual(["1"]);
    expect(Number(seen["x-envoy-expected-rq-timeout-ms"]?.[0])).toBeGreaterThan(10_000);
    expect(seen["x-mine"]).toEqual(["a", "b"]);
  });

  test("a GET whose endpoint dies while it answers is sent to another", async () => {
    await using dying = await serveAndDrop();
    await using reviews = await serve((_incoming, response) => response.end("alive"));
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [dying.endpoint, reviews.endpoint] } }));
    await vi.waitFor(async () => {
      const { statusCode, body, context } = await client.request("http://reviews/");
      expect([statusCode, await body.text()]).toEqual([200, "alive"]);
      const attempts = explain(context)?.attempts ?? [];
      expect(attempts.map(({ endpoint, code }) => [endpoint, code])).toEqual([
        [dying.endpoint.id, "CONNECTION_TERMINATED"],
        [reviews.endpoint.id, undefined],
      ]);
    });
  });

  test("a POST whose endpoint dies while it answers is not sent again", async () => {
    await using dying = await serveAndDrop();
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [dying.endpoint] } }));
    const error = await client
      .request("http://reviews/", { method: "POST", body: "x" })
      .catch((caught: unknown) => caught);
    expect(isMeshError(error, "CONNECTION_TERMINATED")).toBe(true);
    expect(dying.requests()).toBe(1);
  });

  test("a stream that was not read goes with the next attempt", async () => {
    await using gone = await serve(() => undefined);
    const dead = endpointAt(gone.endpoint.port);
    await gone[Symbol.asyncDispose]();
    await using reviews = await serve((incoming, response) => incoming.pipe(response));
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [dead, reviews.endpoint] } }));
    for (let call = 0; call < 10; call++) {
      const { body } = await client.request("http://reviews/", { method: "POST", body: Readable.from(["str", "eam"]) });
      expect(await body.text()).toBe("stream");
    }
    expect(client.counters().retries).toBeGreaterThan(0);
  });

  test("an abort reaches the server, whether headers have come or not", async () => {
    await using reviews = await serve((incoming, response) => {
      if (incoming.url === "/body") response.write("first");
    });
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [reviews.endpoint] } }));
    for (const path of ["/never", "/body"]) {
      const abort = new AbortController();
      const seen = once(reviews.server, "request") as Promise<[{ destroyed: boolean }]>;
      const call = client.request(`http://reviews${path}`, { signal: abort.signal }).then(({ body }) => body.text());
      const [incoming] = await seen;
      abort.abort(new Error("enough"));
      await expect(call).rejects.toThrow("enough");
      await vi.waitFor(() => expect(incoming.destroyed).toBe(true));
    }
  });

  test("an abort ends the wait before a retry", async () => {
    await using reviews = await serve((_incoming, response) => {
      response.writeHead(503, { "retry-after": "10" }).end();
    });
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [reviews.endpoint] } }));
    const abort = new AbortController();
    const call = client.request("http://reviews/", { signal: abort.signal });
    await once(reviews.server, "request");
    abort.abort(new Error("enough"));
    await expect(call).rejects.toThrow("enough");
  });

  test("callbacks run in their caller's async context, also behind others on one connection", async () => {
    await using reviews = await serve((incoming, response) => {
      response.write(`${incoming.url}:`);
      setImmediate(() => response.end("end"));
    });
    const snapshot = snapshotOf({
      reviews: { endpoints: [reviews.endpoint], policy: { connectionPool: { maxConnectionsPerEndpoint: 1 } } },
    });
    await using client = clientOf(snapshot);
    const store = new AsyncLocalStorage<string>();
    const seen: [string, string | undefined, string][] = [];
    const dispatch = (name: string): Promise<void> =>
      store.run(
        name,
        () =>
          new Promise((resolve, reject) => {
            const note = (event: string) => seen.push([name, store.getStore(), event]);
            const handler: Dispatcher.DispatchHandler = {
              onRequestStart: () => note("start"),
              onResponseStart: () => note("headers"),
              onResponseData: () => note("data"),
              onResponseEnd: () => {
                note("end");
                resolve();
              },
              onResponseError: (_controller, error) => reject(error),
            };
            client.dispatcher.dispatch({ origin: "http://reviews", path: `/${name}`, method: "GET" }, handler);
          }),
      );
    await Promise.all(["a", "b", "c", "d"].map(dispatch));
    expect(seen.filter(([name, found]) => name !== found)).toEqual([]);
    expect(new Set(seen.map(([, , event]) => event))).toEqual(new Set(["start", "headers", "data", "end"]));
  });

  test("a handler that throws gives its exchange up and no other", async () => {
    await using reviews = await serve((_incoming, response) => response.end("alive"));
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [reviews.endpoint] } }));
    const failed = new Promise<Error>((resolve) => {
      const handler: Dispatcher.DispatchHandler = {
        onResponseStart: () => {
          throw new Error("a bug of the handler");
        },
        onResponseError: (_controller, error) => resolve(error),
      };
      client.dispatcher.dispatch({ origin: "http://reviews", path: "/", method: "GET" }, handler);
    });
    expect((await failed).message).toBe("a bug of the handler");
    expect((await client.request("http://reviews/")).statusCode).toBe(200);
  });

  test("hosts outside the mesh are handed on, and refused when the mesh is registry-only", async () => {
    await using outside = await serve((_incoming, response) => response.end("outside"));
    const url = `http://127.0.0.2:${outside.endpoint.port}/`.replace("127.0.0.2", "127.0.0.1");
    await using open = clientOf(snapshotOf({}), { outside: new Agent() });
    expect(await (await open.request(url)).body.text()).toBe("outside");
    const closed = snapshotOf({}, { kind: "Mesh", name: "mesh", outbound: "registry-only" });
    await using strict = clientOf(closed);
    const error = await strict.request("http://example.com/").catch((caught: unknown) => caught);
    expect(isMeshError(error, "OUTSIDE_REFUSED")).toBe(true);
  });

  test("failures answer as a proxy would when that is asked for", async () => {
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [] } }), { localReplies: "response" });
    const { statusCode, headers, body } = await client.request("http://reviews/");
    expect([statusCode, headers["tulle-error"]]).toEqual([503, "NO_HEALTHY_ENDPOINT"]);
    expect(await body.text()).toContain("no registered endpoint");
  });

  test("a call after the end fails typed", async () => {
    const client = clientOf(snapshotOf({ reviews: { endpoints: [] } }));
    await client.close();
    await expect(client.request("http://reviews/")).rejects.toMatchObject({ code: "MESH_CLOSED" });
    await expect(client.fetch("http://reviews/")).rejects.toMatchObject({ code: "MESH_CLOSED" });
  });
});

describe("mesh.fetchDispatcher and install", () => {
  test("the built-in fetch takes the dispatcher as an option", async () => {
    await using reviews = await serve((incoming, response) => incoming.pipe(response));
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [reviews.endpoint] } }));
    const response = await fetch("http://reviews/", {
      method: "POST",
      body: "through the mesh",
      // The option's type is that of the undici inside Node.js.
      dispatcher: client.fetchDispatcher as never,
    });
    expect(await response.text()).toBe("through the mesh");
  });

  test("install sends the built-in fetch through the mesh, and uninstall takes it back", async () => {
    const symbols = [Symbol.for("undici.globalDispatcher.1"), Symbol.for("undici.globalDispatcher.2")];
    const globals = globalThis as unknown as Record<symbol, unknown>;
    await using reviews = await serve((incoming, response) =>
      response.end(`${incoming.headers.host}${incoming.headers["x-envoy-attempt-count"] ?? ""}`),
    );
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [reviews.endpoint] } }));
    const outside = `http://127.0.0.1:${reviews.endpoint.port}`;
    await (await fetch(outside)).text();
    const before = symbols.map((symbol) => globals[symbol]);
    client.install();
    client.install();
    expect(await (await fetch("http://reviews/7")).text()).toBe("reviews1");
    expect(await (await request("http://reviews/7")).body.text()).toBe("reviews1");
    expect(await (await fetch(outside)).text()).toBe(`127.0.0.1:${reviews.endpoint.port}`);
    expect(await (await request(outside)).body.text()).toBe(`127.0.0.1:${reviews.endpoint.port}`);
    const posted = await fetch("http://reviews/7", { method: "POST", body: "x", headers: { "content-length": "1" } });
    expect(posted.status).toBe(200);
    client.uninstall();
    expect(symbols.map((symbol) => globals[symbol])).toEqual(before);
    await expect(fetch("http://reviews.invalid./7")).rejects.toThrow(TypeError);
  });

  test("uninstall leaves whoever came after in place", async () => {
    await using client = clientOf(snapshotOf({}));
    const current = Symbol.for("undici.globalDispatcher.2");
    const legacy = Symbol.for("undici.globalDispatcher.1");
    const globals = globalThis as unknown as Record<symbol, unknown>;
    const before = [globals[current], globals[legacy]];
    client.install();
    const later = new Agent();
    globals[current] = later;
    globals[legacy] = new Dispatcher1Wrapper(later);
    client.uninstall();
    expect(globals[current]).toBe(later);
    [globals[current], globals[legacy]] = before;
    await later.close();
  });
});
