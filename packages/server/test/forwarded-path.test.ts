import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "node:http2";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import type { AccessPolicy } from "@tulle/policy";
import type { MeshServer } from "@tulle/server";
import { expressMesh } from "@tulle/server/express";
import { fastifyMesh } from "@tulle/server/fastify";
import { constant } from "@tulle/time";
import express from "express";
import fastify from "fastify";
import { describe, expect, onTestFinished, test } from "vitest";
import { call, inbound, testServer } from "./fixtures.ts";

// What an application is given is what the rules compared.

const onlyPublic: AccessPolicy = { kind: "Access", name: "public", rules: [{ to: [{ paths: ["/public/*"] }] }] };

const serverOf = (mode: "full" | "observe" = "full"): MeshServer =>
  testServer({ inbound: constant(inbound("disable", [onlyPublic])), mode });

const expressApp = (server: MeshServer) => {
  const app = express();
  app.use(expressMesh(server));
  app.get("/{*rest}", (request, response) => {
    response.json([request.url, request.originalUrl, request.path]);
  });
  return app;
};

const places: readonly (readonly [string, () => Promise<number>])[] = [
  [
    "Express behind mesh.listen",
    async () => {
      const server = serverOf();
      return (await server.listen(expressApp(server), { port: 0, host: "127.0.0.1" })).port;
    },
  ],
  [
    "Express on a listener of its own",
    async () => {
      const own = createServer(expressApp(serverOf())).listen(0, "127.0.0.1");
      onTestFinished(() => void own.close());
      await once(own, "listening");
      // A server that listens on TCP has such an address.
      return (own.address() as AddressInfo).port;
    },
  ],
  [
    "Fastify behind mesh.listen",
    async () => {
      const app = fastify();
      app.get("/*", async (request) => [request.url, request.originalUrl, request.url.split("?")[0]]);
      return (await serverOf().listen(app, { port: 0, host: "127.0.0.1" })).port;
    },
  ],
];

describe.each(places)("%s", (_place, start) => {
  test.each([
    ["/public/a?b=/../c", "/public/a?b=/../c"],
    ["/x/..//public/./%61?b", "/public/a?b"],
    ["/public\\a%2fb", "/public/a%2Fb"],
    ["//public//admin", "/public/admin"],
  ])("is given %s as %s", async (written, given) => {
    const answer = await call(await start(), { path: written });
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body)).toEqual([given, given, given.split("?")[0]]);
  });

  test.each(["/public/../admin", "/public/%2e%2e/admin", "//admin/public", "/public\\..\\admin", "/PUBLIC/a"])(
    "is not given %s, which no rule allows",
    async (written) => {
      expect((await call(await start(), { path: written })).status).toBe(403);
    },
  );

  test.each(["/public/..%2fadmin", "/public/%2e%2e%5cadmin", "/public/%zz", "/public/%00", "http://public/public/a"])(
    "is not given %s, which can be read in two ways",
    async (written) => {
      expect((await call(await start(), { path: written })).status).toBe(400);
    },
  );
});

describe("Fastify on a listener of its own, which has found the route before the gates are asked", () => {
  const start = async () => {
    const ran: string[] = [];
    const app = fastify();
    app.register(fastifyMesh, { mesh: serverOf() });
    app.get("/public/*", async () => void ran.push("public"));
    app.get("/admin/*", async () => void ran.push("admin"));
    await app.listen({ port: 0, host: "127.0.0.1" });
    onTestFinished(() => app.close());
    return { ran, port: (app.server.address() as AddressInfo).port };
  };

  test.each(["/admin/../public/a", "/admin/%2e%2e/public/a", "/admin/./../public/a", "/public//a", "/public\\a"])(
    "refuses %s, which the rules would take for another path than it took",
    async (written) => {
      const { port, ran } = await start();
      expect((await call(port, { path: written })).status).toBe(400);
      expect(ran).toEqual([]);
    },
  );

  test.each(["/public/a?b=/../c", "/public/a%2fb", "/public/%61", "/%70ublic/a", "/public/%c3%a9"])(
    "serves %s, which is the same to both",
    async (written) => {
      const { port, ran } = await start();
      expect((await call(port, { path: written })).status).toBe(200);
      expect(ran).toEqual(["public"]);
    },
  );
});

describe("Express on a listener of its own, with the middleware at a path", () => {
  const start = async () => {
    const app = express();
    app.use(["/public", "/api"], expressMesh(serverOf()));
    app.get("/{*rest}", (request, response) => void response.end(request.url));
    const own = createServer(app).listen(0, "127.0.0.1");
    onTestFinished(() => void own.close());
    await once(own, "listening");
    // A server that listens on TCP has such an address.
    return (own.address() as AddressInfo).port;
  };

  test("is ruled by whole paths, and not by what is left behind the mount", async () => {
    const port = await start();
    expect((await call(port, { path: "/public/a?b" })).status).toBe(200);
    expect((await call(port, { path: "/public/%61" })).status).toBe(200);
    expect((await call(port, { path: "/api/public/a" })).status).toBe(403);
  });

  test("refuses a path that the rules would take for another one than Express took", async () => {
    const port = await start();
    expect((await call(port, { path: "/api/../public/a" })).status).toBe(400);
    expect((await call(port, { path: "/public/./a" })).status).toBe(400);
  });
});

test("in HTTP/2 too", async () => {
  const server = testServer({
    inbound: constant({
      ...inbound("disable", [onlyPublic]),
      service: { kind: "Service", name: "reviews", protocol: "http2" },
    }),
  });
  const { port } = await server.listen((request, response) => response.end(request.url), {
    port: 0,
    host: "127.0.0.1",
  });
  const session = connect(`http://127.0.0.1:${port}`);
  onTestFinished(() => session.destroy());
  expect(await text(session.request({ ":path": "/x/..//public/%61?b#c" }))).toBe("/public/a?b");
  expect(await text(session.request({ ":path": "/public/../admin" }))).toBe("Forbidden\n");
});

test("while a service has not moved in, paths stay as they came", async () => {
  const server = serverOf("observe");
  const { port } = await server.listen((request, response) => response.end(request.url), {
    port: 0,
    host: "127.0.0.1",
  });
  expect((await call(port, { path: "//a/../%41" })).body).toBe("//a/../%41");
});
