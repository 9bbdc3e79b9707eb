import { createServer } from "node:http";
import type { Policy } from "@tulle/policy";
import express from "express";
import { fastify } from "fastify";
import { describe, expect, test } from "vitest";
import { expressMesh } from "../src/express.ts";
import { fastifyMesh } from "../src/fastify.ts";
import {
  noAdmin,
  open,
  productpage,
  request,
  say,
  startTarget,
  statusesOf,
  type TargetOptions,
} from "./support/attack-kit.ts";

/*
 * Ways to write a path so that a rule and a framework read two. `/admin` and what is below it are denied: by path, and by the
 * routes that the frameworks have for it. 403: denied; 400: malformed; 404: it is another path to the framework too. What a
 * handler of `/admin` never does is run.
 */

const frameworks: Readonly<Record<string, NonNullable<TargetOptions["app"]>>> = {
  Express: (mesh, note) => {
    const app = express();
    app.use(expressMesh(mesh));
    for (const path of ["/admin", "/admin/:id"]) {
      app.all(path, (message, response) => {
        note(message);
        response.end("admin");
      });
    }
    app.get("/reviews/:id", (_message, response) => void response.end("review"));
    return app;
  },
  Fastify: async (mesh, note) => {
    const app = fastify();
    await app.register(fastifyMesh, { mesh });
    for (const path of ["/admin", "/admin/:id"]) {
      app.all(path, (message, reply) => {
        note(message.raw);
        return reply.send("admin");
      });
    }
    app.get("/reviews/:id", () => "review");
    return app;
  },
};

const noAdminRoutes: Policy = {
  kind: "Access",
  name: "no-admin-routes",
  selector: { service: "reviews" },
  action: "deny",
  rules: [{ to: [{ routes: ["/admin", "/admin/:id"] }] }],
};

type Row = readonly [target: string, byPath: number, byRoute: number];

/** What both frameworks read alike. */
const rows: readonly Row[] = [
  ["/admin", 403, 403],
  ["/admin?x=/reviews/7", 403, 403],
  ["/admin/7", 403, 403],
  ["//admin", 403, 403],
  ["///admin//7", 403, 403],
  ["/./admin", 403, 403],
  ["/reviews/../admin", 403, 403],
  ["/reviews/7/../../admin", 403, 403],
  ["/../../admin", 403, 403],
  ["/reviews/.././/admin/7", 403, 403],
  ["/%61dmin", 403, 403],
  ["/%61%64%6D%69%6e", 403, 403],
  ["/reviews/%2e%2e/admin", 403, 403],
  ["/reviews/%2E%2e/%61dmin", 403, 403],
  ["/\\admin", 403, 403],
  ["/reviews\\..\\admin", 403, 403],
  ["/admin/%37", 403, 403],
  ["/admin/%252e%252e", 403, 403],
  ["/admin/a%2fb", 403, 403],
  ["/reviews/..%2fadmin", 400, 400],
  ["/reviews%2f..%2fadmin", 400, 400],
  ["/reviews/..%5cadmin", 400, 400],
  ["/admin%00", 400, 400],
  ["/admin%", 400, 400],
  ["/%zzadmin", 400, 400],
  ["/%2561dmin", 404, 404],
  ["/admin%2f7", 404, 404],
  ["/admin%20", 404, 404],
  ["/admin;x=1", 404, 404],
  ["/admin.", 404, 404],
  ["/%e2%80%ae/admin", 404, 404],
  ["/%ef%bc%8fadmin", 404, 404],
  ["/%ef%bd%81dmin", 404, 404],
];

describe.each(Object.entries(frameworks))("%s", (name, app) => {
  test.each(rows)(
    "%s is answered %i where the path is denied, and %i where the route is",
    async (path, byPath, byRoute) => {
      for (const [policy, status] of [
        [noAdmin, byPath],
        [noAdminRoutes, byRoute],
      ] as const) {
        const target = await startTarget({ app, policies: [policy] });
        expect(statusesOf(await say(target.port, productpage, request(path)))).toEqual([status]);
        expect(target.handled).toEqual([]);
      }
    },
  );

  test.each(["GET", "HEAD", "POST", "OPTIONS", "QUERY"])("%s of what is denied reaches no handler", async (method) => {
    const target = await startTarget({ app, policies: [noAdminRoutes] });
    expect(
      statusesOf(await say(target.port, productpage, request("/admin", ["content-length: 0"], "", method))),
    ).toEqual([403]);
    expect(target.handled).toEqual([]);
  });

  // Rules compare paths letter by letter, as Istio's do; what is one route to the framework is denied by its route.
  const lenient = name === "Express";
  test.each([
    ["/ADMIN", lenient],
    ["/Admin/7", lenient],
  ])(
    "%s is another path, and to Express the same route, which is denied under all its spellings",
    async (path, same) => {
      const byPath = await startTarget({ app, policies: [noAdmin] });
      expect(statusesOf(await say(byPath.port, productpage, request(path)))).toEqual([same ? 200 : 404]);
      const byRoute = await startTarget({ app, policies: [noAdminRoutes] });
      expect(statusesOf(await say(byRoute.port, productpage, request(path)))).toEqual([same ? 403 : 404]);
      expect(byRoute.handled).toEqual([]);
    },
  );
});

test("a route that was mounted before the middleware is behind the gates all the same", async () => {
  const target = await startTarget({
    app: (mesh, note) => {
      const early = express();
      early.get("/admin", (message, response) => {
        note(message);
        response.end("early");
      });
      early.use(expressMesh(mesh));
      return early;
    },
  });
  expect(statusesOf(await say(target.port, productpage, request("/admin")))).toEqual([403]);
  expect(target.handled).toEqual([]);
});

test("listeners of upgrades and of CONNECT hear of nobody who is refused", async () => {
  const heard: (string | undefined)[] = [];
  const target = await startTarget({
    policies: [
      {
        kind: "Access",
        name: "no",
        selector: { service: "reviews" },
        action: "deny",
        rules: [{ to: [{ paths: ["/admin"] }, { methods: ["CONNECT"] }] }],
      },
    ],
    app: () => {
      const server = createServer((_message, response) => void response.end());
      for (const event of ["upgrade", "connect"]) {
        server.on(event, (message, socket) => {
          heard.push(message.url);
          socket.end("HTTP/1.1 101 Switching Protocols\r\n\r\n");
        });
      }
      return server;
    },
  });
  const upgrade = (path: string): string =>
    `GET ${path} HTTP/1.1\r\nhost: reviews\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n`;
  expect(statusesOf(await say(target.port, productpage, request("evil.example:443", [], "", "CONNECT")))).toEqual([
    403,
  ]);
  expect(statusesOf(await say(target.port, productpage, upgrade("/%61dmin")))).toEqual([403]);
  expect(statusesOf(await say(target.port, productpage, upgrade("/a")))).toEqual([101]);
  expect(heard).toEqual(["/a"]);
});

describe("bytes of HTTP/2 that a client library would not send", () => {
  const frame = (type: number, flags: number, stream: number, payload: Buffer): Buffer => {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head.writeUInt8(type, 3);
    head.writeUInt8(flags, 4);
    head.writeUInt32BE(stream, 5);
    return Buffer.concat([head, payload]);
  };
  /** A literal that is not indexed and not compressed (RFC 7541, 6.2.2). */
  const field = ([name, value]: readonly [string, string]): Buffer =>
    Buffer.concat([
      Buffer.from([0, name.length]),
      Buffer.from(name, "latin1"),
      Buffer.from([value.length]),
      Buffer.from(value, "latin1"),
    ]);
  const block = (fields: readonly (readonly [string, string])[]): Buffer => Buffer.concat(fields.map(field));
  const preface = Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(4, 0, 0, Buffer.alloc(0))]);
  const HEADERS = 1;
  const RST = 3;
  const GOAWAY = 7;
  const END_STREAM = 1;
  const END_BOTH = 5;

  /** Type, stream and last four bytes of each frame. */
  const framesOf = (heard: Buffer): { type: number; stream: number; code: number }[] => {
    const frames: { type: number; stream: number; code: number }[] = [];
    for (let at = 0; at + 9 <= heard.length; at += 9 + heard.readUIntBE(at, 3)) {
      const length = heard.readUIntBE(at, 3);
      const type = heard.readUInt8(at + 3);
      const place = type === GOAWAY ? at + 13 : at + 9;
      const code = length >= 4 && place + 4 <= heard.length ? heard.readUInt32BE(place) : 0;
      frames.push({ type, stream: heard.readUInt32BE(at + 5), code });
    }
    return frames;
  };

  const good = [
    [":method", "GET"],
    [":scheme", "https"],
    [":authority", "reviews"],
    [":path", "/a"],
  ] as const;
  const without = (name: string) => good.filter(([each]) => each !== name);
  type Fields = readonly (readonly [string, string])[];

  const begin = async () => {
    const target = await startTarget({ protocol: "http2" });
    const connection = await open(target.port, productpage, { ALPNProtocols: ["h2"] });
    connection.socket.write(preface);
    return { target, ...connection };
  };

  test.each<[string, readonly [string, string]]>([
    ["a line break and another header", ["x", "a\r\ntransfer-encoding: chunked"]],
    ["a line feed", ["x", "a\nb"]],
    ["a NUL", ["x", "a\0b"]],
    ["a colon in its name", ["x: y", "a"]],
  ])("a header with %s is left out by Node.js, for gates and handlers alike", async (_, bad) => {
    const { target, socket } = await begin();
    socket.write(frame(HEADERS, END_BOTH, 1, block([...good, bad])));
    await expect.poll(() => target.handled.length).toBe(1);
    expect(target.handled[0]!.request.rawHeaders).toEqual([
      "host",
      "reviews",
      "x-forwarded-client-cert",
      expect.stringContaining("productpage"),
    ]);
  });

  test.each<[string, Fields]>([
    ["a header's name in upper case", [...good, ["X-Envoy-A", "a"]]],
    ["a path that holds a line break", [...without(":path"), [":path", "/a HTTP/1.1\r\nx: y"]]],
    ["a method that holds a request", [...without(":method"), [":method", "GET /admin HTTP/1.1"]]],
    ["two paths", [...good, [":path", "/admin"]]],
    ["a path after the headers", [...without(":path"), ["x", "y"], [":path", "/a"]]],
    ["no path", without(":path")],
    ["an empty path", [...without(":path"), [":path", ""]]],
    ["a path that begins with no slash", [...without(":path"), [":path", "admin"]]],
    ["no method", without(":method")],
    ["a pseudo-header nobody knows", [[":evil", "1"], ...good]],
    ["a status", [[":status", "200"], ...good]],
    ["a host that is not its authority", [...good, ["host", "evil.example"]]],
    ["two hosts", [...good, ["host", "reviews"], ["host", "reviews"]]],
    ["no host", without(":authority")],
    ["the coding chunked", [...good, ["transfer-encoding", "chunked"]]],
    ["a header of connections", [...good, ["connection", "close"]]],
    ["an upgrade", [...good, ["upgrade", "h2c"]]],
    ["a length that its body has not", [...good, ["content-length", "5"]]],
  ])("%s ends the stream, and reaches nobody", async (_, fields) => {
    const { target, socket, heard } = await begin();
    // What follows is served, so the session lives, unless the first was refused together with its session.
    socket.write(frame(HEADERS, END_BOTH, 1, block(fields)));
    socket.write(frame(HEADERS, END_BOTH, 3, block(without(":path").concat([[":path", "/last"] as never]))));
    await expect
      .poll(() => framesOf(heard()).some(({ type, stream }) => type === GOAWAY || (type !== 4 && stream === 3)))
      .toBe(true);
    expect(target.handled.map(({ url }) => url).filter((url) => url !== "/last")).toEqual([]);
  });

  test("streams that are begun and reset end the session (Node.js)", async () => {
    const { target, socket, heard, closed } = await begin();
    const cancel = Buffer.from([0, 0, 0, 8]);
    for (let at = 0; at < 20_000 && !socket.destroyed; at++) {
      const stream = 1 + 2 * at;
      socket.write(Buffer.concat([frame(HEADERS, END_BOTH, stream, block(good)), frame(RST, 0, stream, cancel)]));
      if (at % 500 === 0) await new Promise(setImmediate);
    }
    await closed;
    expect(framesOf(heard()).some(({ type }) => type === GOAWAY)).toBe(true);
    expect(target.handled.length).toBeLessThan(10_000);
  });

  test("a header that goes on and on ends the session (Node.js)", async () => {
    const { target, socket, closed } = await begin();
    socket.write(frame(HEADERS, END_STREAM, 1, block(good)));
    for (let at = 0; at < 10_000 && !socket.destroyed; at++) {
      socket.write(frame(9, 0, 1, block([["x", "y".repeat(100)]])));
      if (at % 500 === 0) await new Promise(setImmediate);
    }
    await closed;
    expect(target.handled).toEqual([]);
  });

  test("a header that is said a thousand times is refused (Node.js)", async () => {
    const { target, socket, heard } = await begin();
    socket.write(
      frame(HEADERS, END_BOTH, 1, block([...good, ...Array.from({ length: 1_000 }, () => ["x", "y"] as const)])),
    );
    await expect.poll(() => framesOf(heard()).some(({ type }) => type === RST || type === GOAWAY)).toBe(true);
    expect(target.handled).toEqual([]);
  });
});
