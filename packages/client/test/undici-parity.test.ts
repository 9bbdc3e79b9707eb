import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { gzipSync } from "node:zlib";
import type { Dispatcher } from "undici";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Client } from "../src/create-client.ts";
import { undici } from "../src/transport/undici.ts";
import { clientOf, type RunningServer, serve, snapshotOf } from "./mesh-of-servers.ts";

/** Options that undici's types forbid are the point of some cases. */
type Options = Record<string, unknown>;

/** What a call came to, as far as a caller can tell. */
const outcomeOf = async (call: () => Promise<Dispatcher.ResponseData<unknown>>): Promise<unknown> => {
  try {
    const { statusCode, headers, trailers, opaque, body } = await call();
    // What the hour says: it may change between two calls.
    const { date: _date, age: _age, ...told } = headers as Record<string, unknown>;
    const text = await body.text();
    return { statusCode, headers: Array.isArray(headers) ? headers.length : told, trailers, opaque, text };
  } catch (caught) {
    const { name, code, message } = caught as Error & { code?: unknown };
    return { failed: { name, code, message: message.replaceAll(/http:\/\/[\w.:]+/g, "origin") } };
  }
};

const hits = new Map<string, number>();

const app = (request: IncomingMessage, response: ServerResponse): void => {
  const { pathname } = new URL(request.url ?? "/", "http://app");
  const nth = (hits.get(pathname) ?? 0) + 1;
  hits.set(pathname, nth);
  switch (pathname) {
    case "/moved":
      response.writeHead(301, { location: "/landed" }).end();
      return;
    case "/seen-other":
      response.writeHead(303, { location: "/landed" }).end();
      return;
    case "/round":
      response.writeHead(302, { location: "/round" }).end();
      return;
    case "/gzip":
      response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync("unpacked"));
      return;
    case "/third-time":
      response.writeHead(nth % 3 === 0 ? 200 : 503, { "content-length": 2 }).end("so");
      return;
    case "/refused":
      response.writeHead(418, { "content-type": "text/plain" }).end("a teapot");
      return;
    case "/kept":
      response.writeHead(200, { "cache-control": "max-age=100" }).end(`made ${nth} times`);
      return;
    case "/trailers":
      response.writeHead(200, { trailer: "x-sum" }).write("body");
      response.addTrailers({ "x-sum": "4" });
      response.end();
      return;
  }
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const {
      host: _host,
      "x-envoy-attempt-count": _count,
      "x-envoy-expected-rq-timeout-ms": _limit,
      ...headers
    } = request.headers;
    response.setHeader("X-Method", request.method ?? "");
    response.end(JSON.stringify({ url: request.url, headers, body: Buffer.concat(chunks).toString() }));
  });
};

const calls: Readonly<Record<string, { readonly path?: string; readonly options?: () => Options }>> = {
  "a plain GET": {},
  "a query beside the path": { options: () => ({ query: { a: "1", b: ["2", "3"] } }) },
  "headers as a record": { options: () => ({ headers: { "X-One": "1", "x-many": ["a", "b"] } }) },
  "headers as a list": { options: () => ({ headers: ["X-One", "1", "x-many", "a", "x-many", "b"] }) },
  "headers as a Map": { options: () => ({ headers: new Map([["x-one", "1"]]) }) },
  "headers as Headers": { options: () => ({ headers: new Headers({ "x-one": "1" }) }) },
  "raw reply headers": { options: () => ({ responseHeaders: "raw" }) },
  "an opaque value": { options: () => ({ opaque: { mine: true } }) },
  "a string as body": { options: () => ({ method: "POST", body: "said" }) },
  "bytes as body": { options: () => ({ method: "PUT", body: new TextEncoder().encode("said") }) },
  "a buffer as body": { options: () => ({ method: "POST", body: Buffer.from("said") }) },
  "a stream as body": { options: () => ({ method: "POST", body: Readable.from(["sa", "id"]) }) },
  "a body of known length": {
    options: () => ({ method: "POST", body: Readable.from([Buffer.from("said")]), headers: { "content-length": "4" } }),
  },
  "a Blob as body": { options: () => ({ method: "POST", body: new Blob(["said"], { type: "text/plain" }) }) },
  "URLSearchParams as body": { options: () => ({ method: "POST", body: new URLSearchParams({ a: "1" }).toString() }) },
  "an empty body": { options: () => ({ method: "POST", body: "" }) },
  "a body without a method": { options: () => ({ body: "said" }) },
  HEAD: { options: () => ({ method: "HEAD" }) },
  DELETE: { options: () => ({ method: "DELETE" }) },
  "a method of one's own": { options: () => ({ method: "REPORT" }) },
  trailers: { path: "/trailers" },
  "a status of 418": { path: "/refused" },
  "a redirect, not followed": { path: "/moved" },
  "a packed body, not unpacked": { path: "/gzip" },
};

const mistakes: Readonly<Record<string, () => Options>> = {
  "a query beside a query": () => ({ path: "/?own=1", query: { a: "1" } }),
  "an empty method": () => ({ method: "G E T" }),
  "a method that is no string": () => ({ method: 1 }),
  "a header with a line break": () => ({ headers: { "x-one": "a\r\nb: c" } }),
  "a header name with a blank": () => ({ headers: { "x one": "1" } }),
  "headers that are no headers": () => ({ headers: "x-one: 1" }),
  "an odd list of headers": () => ({ headers: ["x-one"] }),
  "a header that is an object": () => ({ headers: { "x-one": { a: 1 } } }),
  "transfer-encoding": () => ({ headers: { "transfer-encoding": "chunked" } }),
  "keep-alive": () => ({ headers: { "keep-alive": "timeout=5" } }),
  expect: () => ({ headers: { expect: "100-continue" } }),
  "a wrong content-length": () => ({ method: "POST", body: "said", headers: { "content-length": "9" } }),
  "a body that is none": () => ({ method: "POST", body: 7 }),
  "a signal that is none": () => ({ signal: "stop" }),
  "onInfo that is no function": () => ({ onInfo: "tell" }),
  "a wrong highWaterMark": () => ({ highWaterMark: -1 }),
  reset: () => ({ reset: 0 }),
  maxRedirections: () => ({ maxRedirections: 5 }),
  expectContinue: () => ({ expectContinue: 0 }),
  CONNECT: () => ({ method: "CONNECT" }),
};

const compositions: Readonly<
  Record<
    string,
    {
      readonly path: string;
      readonly options?: () => Options;
      readonly with: () => Dispatcher.DispatcherComposeInterceptor;
    }
  >
> = {
  "follows redirects": { path: "/moved", with: () => undici.interceptors.redirect({ maxRedirections: 3 }) },
  "follows a redirect with another method": {
    path: "/seen-other",
    options: () => ({ method: "POST", body: "said" }),
    with: () => undici.interceptors.redirect({ maxRedirections: 3 }),
  },
  "gives up a round of redirects": {
    path: "/round",
    with: () => undici.interceptors.redirect({ maxRedirections: 3, throwOnMaxRedirect: true }),
  },
  "unpacks bodies": { path: "/gzip", with: () => undici.interceptors.decompress() },
  "makes errors of statuses": { path: "/refused", with: () => undici.interceptors.responseError() },
  "throws bodies away": { path: "/landed", with: () => undici.interceptors.dump({ maxSize: 1_024 }) },
  "tries again": {
    path: "/third-time",
    options: () => ({ mesh: { retry: false } }),
    with: () => undici.interceptors.retry({ maxRetries: 3, minTimeout: 1, maxTimeout: 2 }),
  },
  caches: { path: "/kept", with: () => undici.interceptors.cache() },
};

describe("undici", () => {
  let server: RunningServer;
  let client: Client;
  let plain: Dispatcher;
  let outside: string;

  beforeAll(async () => {
    server = await serve(app);
    client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint] } }));
    plain = new undici.Agent();
    outside = `http://127.0.0.1:${server.endpoint.port}`;
  });

  afterAll(async () => {
    await client.close();
    await plain.close();
    await server[Symbol.asyncDispose]();
  });

  const through = (dispatcher: Dispatcher, url: string, options: Options = {}): Promise<unknown> =>
    outcomeOf(() => undici.request(url, { ...options, dispatcher } as Parameters<typeof undici.request>[1]));

  describe.each(Object.entries(calls))("makes %s", (_name, { path = "/", options = () => ({}) }) => {
    test("to hosts outside the mesh as without it", async () => {
      const expected = await through(plain, outside + path, options());
      expect(await through(client.dispatcher, outside + path, options())).toEqual(expected);
      const own = { ...options() };
      expect(await outcomeOf(() => client.request(outside + path, own as never))).toEqual(expected);
    });

    test("to services of the mesh as to other hosts", async () => {
      const expected = await through(plain, outside + path, options());
      expect(await through(client.dispatcher, `http://reviews${path}`, options())).toEqual(expected);
      const own = { ...options() };
      expect(await outcomeOf(() => client.request(`http://reviews${path}`, own as never))).toEqual(expected);
    });
  });

  describe.each(Object.entries(mistakes))("refuses %s", (_name, options) => {
    test("by undici's own error for hosts outside the mesh", async () => {
      const expected = await through(plain, outside, options());
      expect(expected).toHaveProperty("failed");
      expect(await through(client.dispatcher, outside, options())).toEqual(expected);
      expect(await outcomeOf(() => client.request(outside, options() as never))).toEqual(expected);
    });
  });

  test.each([
    "a query beside a query",
    "expect",
    "transfer-encoding",
    "keep-alive",
    "a header with a line break",
    "a wrong content-length",
  ])("a call to a service that undici refuses for %s is INVALID_CALL", async (name) => {
    const options = mistakes[name]?.() ?? {};
    expect(await through(client.dispatcher, "http://reviews/", options)).toMatchObject({
      failed: { code: "INVALID_CALL" },
    });
    expect(await outcomeOf(() => client.request("http://reviews/", options as never))).toMatchObject({
      failed: { code: "INVALID_CALL" },
    });
  });

  describe.each(Object.entries(compositions))("%s by its interceptor", (_name, each) => {
    const outcomes = async (dispatcher: Dispatcher, origin: string): Promise<unknown[]> => {
      hits.clear();
      const composed = dispatcher.compose(each.with());
      const made: unknown[] = [];
      for (let round = 0; round < 2; round++) made.push(await through(composed, origin + each.path, each.options?.()));
      return made;
    };

    test("composed with the mesh's dispatcher, outside and inside", async () => {
      const expected = await outcomes(plain, outside);
      expect(await outcomes(client.dispatcher, outside)).toEqual(expected);
      expect(await outcomes(client.dispatcher, "http://reviews")).toEqual(expected);
    });
  });

  test.each([
    ["a URL object", () => ({ origin: outside, path: "/landed?a=1" })],
    ["a pathname without its slash", () => ({ origin: outside, pathname: "landed" })],
    [
      "protocol, host and port",
      () => ({
        protocol: "http:",
        hostname: "127.0.0.1",
        port: server.endpoint.port,
        pathname: "/landed",
        search: "?a=1",
      }),
    ],
    ["a URL object with options in it", () => ({ origin: outside, path: "/landed", method: "POST", body: "said" })],
  ])("mesh.request takes %s as undici does", async (_name, url) => {
    const expected = await outcomeOf(() => undici.request({ ...url(), dispatcher: plain } as never));
    expect(expected).toHaveProperty("statusCode", 200);
    expect(await outcomeOf(() => client.request(url() as never))).toEqual(expected);
    const { hostname: _hostname, port: _port, origin: _origin, ...rest } = url() as Options;
    const inside =
      rest.protocol === undefined ? { ...rest, origin: "http://reviews" } : { ...rest, hostname: "reviews" };
    expect(await outcomeOf(() => client.request(inside as never))).toEqual(expected);
  });

  test("mesh.request takes the path among its options as undici does", async () => {
    const options = { path: "landed?a=1", method: "POST", body: "said" };
    const expected = await through(plain, outside, options);
    expect(await outcomeOf(() => client.request("http://reviews", options as never))).toEqual(expected);
    expect(await outcomeOf(() => client.request(outside, options as never))).toEqual(expected);
  });

  test.each([undefined, null, 1, "", "ftp://127.0.0.1/", "http://", {}])(
    "mesh.request refuses %j as undici does",
    async (url) => {
      const expected = await outcomeOf(() => undici.request(url as never, { dispatcher: plain } as never));
      expect(await outcomeOf(() => client.request(url as never))).toEqual(expected);
    },
  );

  test.each([undefined, "", "nowhere", 7])("its dispatcher refuses the origin %j as undici's does", (origin) => {
    const dispatch = (dispatcher: Dispatcher) => () =>
      dispatcher.dispatch({ origin: origin as never, path: "/", method: "GET" }, {
        onRequestStart() {},
        onResponseError() {},
      } as never);
    let expected: unknown;
    try {
      dispatch(plain)();
    } catch (error) {
      expected = error;
    }
    if (expected === undefined) expect(dispatch(client.dispatcher)).not.toThrow();
    else expect(dispatch(client.dispatcher)).toThrow((expected as Error).message);
  });
});

test("the bounds that an application gave its dispatcher hold for WebSocket and EventSource through the mesh", async () => {
  const bounded = new undici.Agent({ webSocket: { maxPayloadSize: 7 }, eventSource: { maxEventSize: 9 } } as object);
  await using client = clientOf(snapshotOf({}), { outside: bounded });
  for (const dispatcher of [client.dispatcher, client.fetchDispatcher]) {
    expect(dispatcher).toMatchObject({
      webSocketOptions: (bounded as never as { webSocketOptions: object }).webSocketOptions,
      eventSourceOptions: (bounded as never as { eventSourceOptions: object }).eventSourceOptions,
    });
  }
  expect(client.dispatcher).toMatchObject({ webSocketOptions: { maxPayloadSize: 7 } });
  await bounded.close();
});

test("a server that is gone is told by undici's own error outside the mesh", async () => {
  const gone = createServer();
  await new Promise<void>((resolve) => gone.listen(0, "127.0.0.1", resolve));
  const { port } = gone.address() as { port: number };
  await new Promise((resolve) => gone.close(resolve));
  await using client = clientOf(snapshotOf({}));
  const expected = await outcomeOf(() => undici.request(`http://127.0.0.1:${port}/`));
  expect(await outcomeOf(() => client.request(`http://127.0.0.1:${port}/`))).toEqual(expected);
});
