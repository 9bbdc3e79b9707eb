import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  createSecureServer,
  type OutgoingHttpHeaders,
} from "node:http2";
import { connect as connectTcp } from "node:net";
import { text } from "node:stream/consumers";
import { connect as connectTls } from "node:tls";
import type { AccessPolicy, Credentials, InboundSnapshot, MtlsMode, ServicePolicy } from "@tulle/policy";
import { fastifyMesh } from "@tulle/server/fastify";
import { meshHandler } from "@tulle/server/node-http";
import { createTestAuthority } from "@tulle/testing";
import { constant, Watchable } from "@tulle/time";
import express from "express";
import { fastify } from "fastify";
import { beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { call, inbound, testServer } from "./fixtures.ts";

const authority = await createTestAuthority();
let own: Credentials;
let peer: Credentials;

beforeAll(async () => {
  own = await authority.issue({ serviceAccount: "reviews" });
  peer = await authority.issue({ serviceAccount: "productpage" });
});

const inH2 = (mtls: MtlsMode, access: readonly AccessPolicy[] = [], protocol: ServicePolicy["protocol"] = "http2") =>
  ({ ...inbound(mtls, access), service: { kind: "Service", name: "reviews", protocol } }) as InboundSnapshot;

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const serving = async (
  policy: InboundSnapshot,
  handler: Handler = (_request, response) => void response.end("ok"),
  credentials: Credentials = own,
) => {
  const server = testServer({ inbound: constant(policy), credentials: constant(credentials) });
  const listener = await server.listen(handler, { port: 0, host: "127.0.0.1", drainTimeout: "5s" });
  return { server, listener };
};

/** A session with the port, in plaintext or as somebody. */
const open = (port: number, as?: Credentials): ClientHttp2Session => {
  const session =
    as === undefined
      ? connect(`http://127.0.0.1:${port}`)
      : connect(`https://127.0.0.1:${port}`, {
          rejectUnauthorized: false,
          cert: as.certificateChain,
          key: as.privateKey,
        });
  session.on("error", () => undefined);
  onTestFinished(() => session.destroy());
  return session;
};

interface Answer {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly body: string;
}

const begin = (session: ClientHttp2Session, headers: OutgoingHttpHeaders = {}, body?: string): ClientHttp2Stream => {
  const stream = session.request(
    { ":authority": "reviews", ":path": "/", ...headers },
    { endStream: body === undefined },
  );
  stream.on("error", () => undefined);
  if (body !== undefined) stream.end(body);
  return stream;
};

const answerOf = async (stream: ClientHttp2Stream): Promise<Answer> => {
  const [headers] = (await once(stream, "response")) as [Record<string, unknown>];
  return { status: Number(headers[":status"]), headers, body: await text(stream) };
};

const ask = (session: ClientHttp2Session, headers?: OutgoingHttpHeaders, body?: string): Promise<Answer> =>
  answerOf(begin(session, headers, body));

describe("what is spoken", () => {
  const agreed = async (port: number, offered: string[]): Promise<string | false | null> => {
    const socket = connectTls({
      port,
      host: "127.0.0.1",
      rejectUnauthorized: false,
      cert: peer.certificateChain,
      key: peer.privateKey,
      ALPNProtocols: offered,
    });
    onTestFinished(() => void socket.destroy());
    await once(socket, "secureConnect");
    return socket.alpnProtocol;
  };

  test("is HTTP/2 where it is offered, and HTTP/1.1 beside it", async () => {
    const { listener } = await serving(inH2("strict"));
    expect(await agreed(listener.port, ["h2", "http/1.1"])).toBe("h2");
    expect(await agreed(listener.port, ["http/1.1"])).toBe("http/1.1");
    expect((await call(listener.port, { as: peer })).body).toBe("ok");
    expect((await ask(open(listener.port, peer))).body).toBe("ok");
  });

  test("is HTTP/1.1 alone where the policy asks for nothing else", async () => {
    const { listener } = await serving(inbound("strict"));
    expect(await agreed(listener.port, ["h2", "http/1.1"])).toBe("http/1.1");
    await expect(agreed(listener.port, ["h2"])).rejects.toThrow(/no application protocol/i);
  });

  test("follows the policy without a restart", async () => {
    const policy = new Watchable<InboundSnapshot | undefined>(inbound("strict"));
    const server = testServer({ inbound: policy, credentials: constant(own) });
    const listener = await server.listen((_request, response) => response.end(), { port: 0, host: "127.0.0.1" });
    policy.set(inH2("strict"));
    expect(await agreed(listener.port, ["h2", "http/1.1"])).toBe("h2");
  });

  test("in plaintext is known by the preface, also when it comes byte by byte", async () => {
    const { listener } = await serving(inH2("disable"));
    expect((await ask(open(listener.port))).body).toBe("ok");
    expect((await call(listener.port, { method: "PRIVATE" }).catch(() => ({ status: 400 }))).status).toBe(400);
    expect((await call(listener.port, { method: "PROPFIND" })).body).toBe("ok");
    const socket = connectTcp({ port: listener.port, host: "127.0.0.1" });
    onTestFinished(() => void socket.destroy());
    for (const byte of "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") {
      socket.write(byte);
      await new Promise(setImmediate);
    }
    // SETTINGS, of no length that is known before: type 4, stream 0.
    const [first] = (await once(socket, "data")) as [Buffer];
    expect([first[3], first.readUInt32BE(5)]).toEqual([4, 0]);
  });
});

describe("applications", () => {
  const listening = (
    app: Parameters<ReturnType<typeof testServer>["listen"]>[0],
    protocol?: ServicePolicy["protocol"],
  ) => testServer({ inbound: constant(inH2("disable", [], protocol)) }).listen(app, { port: 0, host: "127.0.0.1" });

  test.each([
    ["Express", () => express()],
    ["a server of Express", () => createServer(express())],
    ["Fastify that was made for HTTP/1.1", () => fastify()],
  ])("%s is refused where callers are told to speak HTTP/2", async (_, make) => {
    await expect(listening(make())).rejects.toMatchObject({ code: "PROTOCOL_UNSERVED" });
    await expect(listening(make(), "grpc")).rejects.toMatchObject({ code: "PROTOCOL_UNSERVED" });
    await listening(make(), "http");
  });

  test("Fastify that was made for HTTP/2 serves it, and knows its visit", async () => {
    const server = testServer({ inbound: constant(inH2("strict")), credentials: constant(own) });
    const app = fastify({ http2: true });
    await app.register(fastifyMesh, { mesh: server });
    app.post("/reviews/:id", async (request) => ({
      id: (request.params as { id: string }).id,
      body: request.body,
      host: request.host,
      peer: request.mesh?.peer?.serviceAccount,
      version: request.raw.httpVersion,
    }));
    const listener = await server.listen(app, { port: 0, host: "127.0.0.1" });
    const answer = await ask(
      open(listener.port, peer),
      { ":method": "POST", ":path": "/reviews/7", "content-type": "application/json" },
      '{"stars":5}',
    );
    expect(JSON.parse(answer.body)).toEqual({
      id: "7",
      body: { stars: 5 },
      host: "reviews",
      peer: "productpage",
      version: "2.0",
    });
  });

  test("a handler on a server of its own runs the gates, and its sessions end with their certificates", async () => {
    const server = testServer({ inbound: constant(inH2("strict")), credentials: constant(own) });
    const handler = meshHandler(server, (_request, response, visit) => response.end(visit.peer?.serviceAccount));
    const listener = createSecureServer(
      {
        cert: own.certificateChain,
        key: own.privateKey,
        ca: [authority.root],
        requestCert: true,
        rejectUnauthorized: false,
      },
      handler as never,
    );
    onTestFinished(() => void listener.close());
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    const { port } = listener.address() as { port: number };
    const short = await authority.issue({ serviceAccount: "productpage", lifetimeMs: 2_000 });
    const session = open(port, short);
    const ended = once(session, "close");
    expect((await ask(session)).body).toBe("productpage");
    expect((await ask(session)).body).toBe("productpage");
    expect(server.counters().provenConnections).toBe(1);
    const stranger = connect(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
    onTestFinished(() => stranger.destroy());
    expect((await ask(stranger)).status).toBe(403);
    stranger.destroy();
    await ended;
    await vi.waitFor(() => expect(server.counters().provenConnections).toBe(0));
  });
});

describe("the gates", () => {
  test("strict ports take neither plaintext nor callers without a certificate", async () => {
    const { server, listener } = await serving(inH2("strict"));
    const plain = open(listener.port);
    begin(plain);
    await once(plain, "close");
    const stranger = connect(`https://127.0.0.1:${listener.port}`, { rejectUnauthorized: false });
    onTestFinished(() => stranger.destroy());
    stranger.on("error", () => undefined);
    await once(stranger, "close");
    expect(server.counters()).toMatchObject({ "refused.PLAINTEXT_REFUSED": 1, "refused.PEER_ABSENT": 1, visits: 0 });
  });

  test("access is decided for each request, by its own path and method", async () => {
    const onlyReads: AccessPolicy = {
      kind: "Access",
      name: "only-reads",
      action: "allow",
      rules: [{ to: [{ methods: ["GET"], paths: ["/reviews/*"] }] }],
    };
    const handled: string[] = [];
    const { listener } = await serving(inH2("strict", [onlyReads]), (request, response) => {
      handled.push(`${request.method} ${request.url}`);
      response.end("ok");
    });
    const session = open(listener.port, peer);
    const asked: [OutgoingHttpHeaders, number][] = [
      [{ ":path": "/reviews/7" }, 200],
      [{ ":path": "/admin" }, 403],
      [{ ":path": "/reviews/../admin" }, 403],
      [{ ":path": "/reviews/..%2fadmin" }, 400],
      [{ ":path": "/reviews/7", ":method": "POST" }, 403],
      [{ ":path": "/reviews/%zz" }, 400],
    ];
    const statuses = await Promise.all(asked.map(async ([headers]) => (await ask(session, headers)).status));
    expect(statuses).toEqual(asked.map(([, status]) => status));
    expect(handled).toEqual(["GET /reviews/7"]);
  });

  test("a peer is told why, and a stranger is not", async () => {
    const nobody: AccessPolicy = { kind: "Access", name: "nobody", action: "deny", rules: [{}] };
    const { listener } = await serving(inH2("permissive", [nobody]));
    expect(JSON.parse((await ask(open(listener.port, peer))).body)).toMatchObject({ code: "ACCESS_DENIED" });
    expect((await ask(open(listener.port))).body).toBe("Forbidden\n");
  });

  test("who speaks gRPC is told in its words", async () => {
    const nobody: AccessPolicy = { kind: "Access", name: "nobody", action: "deny", rules: [{}] };
    const { listener } = await serving(inH2("permissive", [nobody], "grpc"));
    const grpc = { ":method": "POST", "content-type": "application/grpc+proto", te: "trailers" };
    const told = await ask(open(listener.port, peer), grpc, "");
    expect(told).toMatchObject({ status: 200, headers: { "grpc-status": "7", "content-type": "application/grpc" } });
    expect(decodeURIComponent(String(told.headers["grpc-message"]))).toMatch(/^ACCESS_DENIED: Access\/default\/nobody/);
    const stranger = await ask(open(listener.port), grpc, "");
    expect(stranger.headers).toMatchObject({ "grpc-status": "7", "grpc-message": "Forbidden" });
    const allowing = await serving(inH2("strict", [], "grpc"));
    const late = await ask(open(allowing.listener.port, peer), { ...grpc, "grpc-timeout": "0m" }, "");
    expect(late).toMatchObject({ status: 200, headers: { "grpc-status": "4" } });
  });

  test("before the first policy nothing is served, and a peer may go elsewhere with any request", async () => {
    const server = testServer({ inbound: constant(undefined), credentials: constant(own) });
    const listener = await server.listen(() => undefined, { port: 0, host: "127.0.0.1" });
    // Nobody is told to speak HTTP/2 before the policy is known.
    expect((await call(listener.port, { as: peer })).status).toBe(503);
  });

  test("a refused upload is answered and ended, not read", async () => {
    const nobody: AccessPolicy = { kind: "Access", name: "nobody", action: "deny", rules: [{}] };
    const { listener } = await serving(inH2("strict", [nobody]));
    const session = open(listener.port, peer);
    const stream = session.request({ ":method": "POST", ":path": "/", ":authority": "reviews" });
    stream.on("error", () => undefined);
    stream.write(Buffer.alloc(16));
    const closed = once(stream, "close");
    expect((await answerOf(stream)).status).toBe(403);
    await closed;
    expect(stream.rstCode).toBe(constants.NGHTTP2_NO_ERROR);
    expect((await ask(session)).status).toBe(403);
  });

  test("CONNECT reaches nobody", async () => {
    const handled = vi.fn();
    const { listener } = await serving(inH2("strict"), handled);
    const stream = open(listener.port, peer).request({ ":method": "CONNECT", ":authority": "reviews:80" });
    const [error] = (await once(stream, "error")) as [Error];
    expect(error.message).toMatch(/CONNECT_ERROR/);
    expect(handled).not.toHaveBeenCalled();
  });

  test("a caller that goes away aborts its visit alone", async () => {
    const aborted: string[] = [];
    const server = testServer({ inbound: constant(inH2("strict")), credentials: constant(own) });
    const seen: string[] = [];
    const handler = meshHandler(server, (request, response, visit) => {
      seen.push(request.url ?? "");
      visit.signal.addEventListener("abort", () => aborted.push(request.url ?? ""));
      if (request.url !== "/held") response.end("ok");
    });
    const listener = await server.listen(handler, { port: 0, host: "127.0.0.1" });
    const session = open(listener.port, peer);
    const held = begin(session, { ":path": "/held" });
    await vi.waitFor(() => expect(seen).toEqual(["/held"]));
    held.close(constants.NGHTTP2_CANCEL);
    await vi.waitFor(() => expect(aborted).toEqual(["/held"]));
    expect((await ask(session, { ":path": "/other" })).body).toBe("ok");
    expect(aborted).toEqual(["/held"]);
  });

  test("the deadline of a peer is kept", async () => {
    const { listener } = await serving(inH2("strict"));
    const session = open(listener.port, peer);
    expect((await ask(session, { "x-envoy-expected-rq-timeout-ms": "0" })).status).toBe(504);
    expect((await ask(session, { "grpc-timeout": "0m" })).status).toBe(504);
    expect((await ask(session, { "grpc-timeout": "10S" })).status).toBe(200);
    expect((await ask(session, { "grpc-timeout": "soon" })).status).toBe(400);
  });
});

describe("headers", () => {
  test("a method in lower case is refused, for some handlers would take it for the real one and rules do not", async () => {
    const noDeletes: AccessPolicy = {
      kind: "Access",
      name: "no-deletes",
      action: "deny",
      rules: [{ to: [{ methods: ["DELETE"] }] }],
    };
    const { listener, server } = await serving(inH2("disable", [noDeletes]));
    const session = open(listener.port);
    const [error] = (await once(
      session.request({ ":authority": "reviews", ":path": "/", ":method": "delete" }, { endStream: true }),
      "error",
    )) as [Error];
    expect(error.message).toMatch(/PROTOCOL_ERROR/);
    expect(server.counters()).toMatchObject({ visits: 0 });
    expect((await ask(session, { ":method": "DELETE" })).status).toBe(403);
    expect((await ask(session, { ":method": "PURGE" })).status).toBe(200);
  });

  test.each(["constructor", "__proto__"])("called %s are as good as any", async (name) => {
    let seen: NodeJS.Dict<string[]> = {};
    const { listener } = await serving(inH2("disable"), (request, response) => {
      seen = request.headersDistinct;
      response.end("ok");
    });
    const headers = Object.assign(Object.create(null), { "x-envoy-attempt-count": "2" });
    Object.defineProperty(headers, name, { value: "x", enumerable: true });
    const stream = open(listener.port).request(
      Object.assign(headers, { ":authority": "reviews", ":path": "/" }) as OutgoingHttpHeaders,
    );
    stream.on("error", () => undefined);
    expect((await answerOf(stream)).status).toBe(200);
    expect(seen[name]).toEqual(["x"]);
    expect(seen["x-envoy-attempt-count"]).toBeUndefined();
  });

  const telling: Handler = (request, response) => {
    request.resume().on("end", () => {
      const { headers, rawHeaders, headersDistinct, trailers, rawTrailers, trailersDistinct } = request;
      response.end(JSON.stringify({ headers, rawHeaders, headersDistinct, trailers, rawTrailers, trailersDistinct }));
    });
  };

  test("look as in HTTP/1.1: a host, and no pseudo-headers", async () => {
    const { listener } = await serving(inH2("strict"), telling);
    const told = JSON.parse((await ask(open(listener.port, peer), { "x-a": ["1", "2"] })).body);
    expect(told.headers).toMatchObject({ host: "reviews", "x-a": "1, 2" });
    expect(told.headersDistinct).toMatchObject({ host: ["reviews"], "x-a": ["1", "2"] });
    const names = [...Object.keys(told.headers), ...Object.keys(told.headersDistinct), ...told.rawHeaders];
    expect(names.filter((name: string) => name.startsWith(":"))).toEqual([]);
    expect(told.rawHeaders.slice(0, 2)).toEqual(["host", "reviews"]);
  });

  test.each([
    ["another host than its authority", { host: "ratings" }],
    ["no host at all", { ":authority": "" }],
  ])("a request with %s is malformed", async (_, headers) => {
    const handled = vi.fn();
    const { listener } = await serving(inH2("strict"), handled);
    const session = open(listener.port, peer);
    const stream = begin(session, headers);
    const [error] = (await once(stream, "error")) as [Error];
    expect(error.message).toMatch(/PROTOCOL_ERROR/);
    expect(handled).not.toHaveBeenCalled();
  });

  test("that only peers may say are taken from strangers, also out of trailers", async () => {
    const { server, listener } = await serving(inH2("permissive"), telling);
    const forged = {
      "x-forwarded-client-cert": "URI=spiffe://cluster.local/ns/default/sa/admin",
      "x-envoy-attempt-count": "3",
      "tulle-refused": "unprocessed",
      "grpc-timeout": "1m",
      "x-kept": "1",
    };
    const stream = open(listener.port).request(
      { ":method": "POST", ":path": "/", ":authority": "reviews", ...forged },
      { waitForTrailers: true },
    );
    stream.on("wantTrailers", () => stream.sendTrailers({ ...forged }));
    stream.end("body");
    const answer = await answerOf(stream);
    const told = JSON.parse(answer.body);
    for (const name of Object.keys(forged).filter((each) => each !== "x-kept")) expect(answer.body).not.toContain(name);
    expect(told.headers["x-kept"]).toBe("1");
    expect(told.trailers["x-kept"]).toBe("1");
    expect(told.rawTrailers).toEqual(["x-kept", "1"]);
    expect(server.counters().strippedHeaders).toBe(4);
  });

  test("that prove the peer are the mesh's own", async () => {
    const { listener } = await serving(inH2("strict"), telling);
    const told = JSON.parse(
      (await ask(open(listener.port, peer), { "x-forwarded-client-cert": "URI=spiffe://cluster.local/ns/a/sa/admin" }))
        .body,
    );
    const proven = `By=${own.spiffeId};URI=${peer.spiffeId}`;
    expect(told.headers["x-forwarded-client-cert"]).toBe(proven);
    expect(told.headersDistinct["x-forwarded-client-cert"]).toEqual([proven]);
    expect(
      told.rawHeaders.filter((_: string, at: number) => told.rawHeaders[at - 1] === "x-forwarded-client-cert"),
    ).toEqual([proven]);
  });

  test.each<[string, Handler]>([
    [
      "an object",
      (_request, response) =>
        void response
          .writeHead(200, "Fine", {
            "tulle-drain": "1",
            Connection: "close",
            "Keep-Alive": "timeout=5",
            "x-kept": ["1", "2"],
          })
          .end(),
    ],
    [
      "a list",
      (_request, response) =>
        void response
          .writeHead(200, ["Tulle-Drain", "1", "Transfer-Encoding", "chunked", "x-kept", "1", "X-Kept", "2"])
          .end(),
    ],
    [
      "one by one",
      (_request, response) => {
        response.setHeader("tulle-drain", "1");
        response.setHeader("x-kept", ["1", "2"]);
        response.end();
      },
    ],
  ])("that handlers may not say are taken out of replies, and the rest is kept (%s)", async (_, handler) => {
    const { listener } = await serving(inH2("strict"), handler);
    const { status, headers } = await ask(open(listener.port, peer));
    expect(status).toBe(200);
    expect(headers).toMatchObject({ "x-kept": "1, 2" });
    for (const name of ["tulle-drain", "connection", "keep-alive", "transfer-encoding"]) {
      expect(headers).not.toHaveProperty(name);
    }
  });

  test("tell a peer that asks how busy the member is", async () => {
    const { listener } = await serving(inH2("permissive"));
    const asking = { "endpoint-load-metrics-format": "TEXT" };
    const session = open(listener.port, peer);
    await ask(session, asking);
    expect((await ask(session, asking)).headers["endpoint-load-metrics"]).toMatch(/^TEXT named_metrics\.rif=/);
    expect((await ask(open(listener.port), asking)).headers["endpoint-load-metrics"]).toBeUndefined();
  });
});

describe("the end of a session", () => {
  test("a drain asks idle peers to leave, serves what is on its way, tells in-band, and cuts nobody", async () => {
    const held: ServerResponse[] = [];
    const { listener } = await serving(inH2("strict"), (request, response) => {
      if (request.url === "/held") held.push(response);
      else response.end("ok");
    });
    const idle = open(listener.port, peer);
    await ask(idle);
    const busy = open(listener.port, peer);
    const pending = ask(busy, { ":path": "/held" });
    await vi.waitFor(() => expect(held).toHaveLength(1));
    const idleLeft = once(idle, "close");
    const asked = once(busy, "goaway");
    const draining = listener.drain();
    await idleLeft;
    expect(((await asked) as [number])[0]).toBe(constants.NGHTTP2_NO_ERROR);
    held[0]?.end("done");
    expect(await pending).toMatchObject({ status: 200, body: "done", headers: { "tulle-drain": "1" } });
    expect(await draining).toMatchObject({ connectionsAtStart: 2, connectionsCut: 0 });
  });

  test("a session that comes while the listener drains is served, and asked to leave with its first reply", async () => {
    const held: ServerResponse[] = [];
    const { listener } = await serving(inH2("strict"), (request, response) => {
      if (request.url === "/held") held.push(response);
      else response.end("ok");
    });
    const keeping = ask(open(listener.port, peer), { ":path": "/held" });
    await vi.waitFor(() => expect(held).toHaveLength(1));
    const draining = listener.drain();
    const late = open(listener.port, peer);
    const left = once(late, "close");
    expect(await ask(late)).toMatchObject({ status: 200, body: "ok" });
    await left;
    held[0]?.end();
    await keeping;
    await draining;
  });

  test("comes with its peer's certificate, after what is under way", async () => {
    const { server, listener } = await serving(inH2("strict"));
    const short = open(listener.port, await authority.issue({ lifetimeMs: 2_000 }));
    const long = open(listener.port, peer);
    await ask(short);
    await ask(long);
    await once(short, "close");
    await vi.waitFor(() => expect(server.counters()).toMatchObject({ provenConnections: 1 }));
    expect((await ask(long)).body).toBe("ok");
  });

  test("comes at once where the peer's root is dropped, and its exchange is the last one", async () => {
    const other = await createTestAuthority("elsewhere.example");
    const trusting = await authority.issue({ serviceAccount: "reviews", bundles: [authority.bundle, other.bundle] });
    const credentials = new Watchable<Credentials | undefined>(trusting);
    const server = testServer({ inbound: constant(inH2("strict")), credentials });
    const held: ServerResponse[] = [];
    const listener = await server.listen((_request, response) => void held.push(response), {
      port: 0,
      host: "127.0.0.1",
    });
    const session = open(listener.port, await other.issue());
    const pending = ask(session);
    await vi.waitFor(() => expect(held).toHaveLength(1));
    const asked = once(session, "goaway");
    credentials.set({ ...trusting, generation: 2, bundles: [authority.bundle] });
    await asked;
    const ended = once(session, "close");
    held[0]?.end("last");
    expect((await pending).body).toBe("last");
    await ended;
  });

  test("comes for strangers when the port becomes strict", async () => {
    const policy = new Watchable<InboundSnapshot | undefined>(inH2("permissive"));
    const server = testServer({ inbound: policy, credentials: constant(own) });
    const listener = await server.listen((_request, response) => response.end("ok"), { port: 0, host: "127.0.0.1" });
    const stranger = open(listener.port);
    await ask(stranger);
    const left = once(stranger, "close");
    policy.set(inH2("strict"));
    await left;
  });
});
