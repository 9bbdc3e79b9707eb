import type { AccessPolicy } from "@tulle/policy";
import { fastifyMesh } from "@tulle/server/fastify";
import { constant } from "@tulle/time";
import express from "express";
import fastify, { type FastifyInstance } from "fastify";
import { describe, expect, test } from "vitest";
import { call, inbound, testServer } from "./fixtures.ts";

// What rules that name routes make of the less common ways to mount a route. No handler of a refused route may have run.

const rule = (action: "allow" | "deny", ...routes: string[]): AccessPolicy => ({
  kind: "Access",
  name: "by-route",
  action,
  rules: [{ to: [{ routes }] }],
});

interface Served {
  /** What is answered with, and whether the handler ran. */
  readonly ask: (path: string, method?: string) => Promise<readonly [status: number, ran: boolean]>;
}

type Ran = () => void;

const asking = (port: number, count: () => number): Served["ask"] => {
  return async (path, method = "GET") => {
    const before = count();
    const { status } = await call(port, { path, method });
    return [status, count() > before];
  };
};

const inExpress = async (
  policy: AccessPolicy,
  mount: (app: express.Express, handler: express.RequestHandler) => void,
): Promise<Served> => {
  const server = testServer({ inbound: constant(inbound("disable", [policy])) });
  const app = express();
  let ran = 0;
  mount(app, (_request, response) => {
    ran++;
    response.end("served");
  });
  const { port } = await server.listen(app, { port: 0, host: "127.0.0.1" });
  return { ask: asking(port, () => ran) };
};

const inFastify = async (
  policy: AccessPolicy,
  mount: (app: FastifyInstance, ran: Ran, plugin: () => void) => void,
): Promise<Served> => {
  const mesh = testServer({ inbound: constant(inbound("disable", [policy])) });
  const app = fastify();
  let ran = 0;
  mount(
    app,
    () => {
      ran++;
    },
    () => void app.register(fastifyMesh, { mesh }),
  );
  const { port } = await mesh.listen(app, { port: 0, host: "127.0.0.1" });
  return { ask: asking(port, () => ran) };
};

const refused = [403, false];
const served = [200, true];

describe("in Express", () => {
  test("a route of several paths is denied by any of them", async () => {
    const { ask } = await inExpress(rule("deny", "/admin/:id"), (app, handler) =>
      app.get(["/users/:id", "/admin/:id"], handler),
    );
    expect(await ask("/admin/1")).toEqual(refused);
    expect(await ask("/users/1")).toEqual(refused);
  });

  test("a route of several paths is allowed only where all of them are", async () => {
    const some = await inExpress(rule("allow", "/users/:id"), (app, handler) =>
      app.get(["/users/:id", "/admin/:id"], handler),
    );
    expect(await some.ask("/users/1")).toEqual(refused);
    const all = await inExpress(rule("allow", "/users/:id", "/admin/:id"), (app, handler) =>
      app.get(["/users/:id", "/admin/:id"], handler),
    );
    expect(await all.ask("/users/1")).toEqual(served);
  });

  test.each([
    ["deny", "/admin"],
    ["deny", "*"],
    ["allow", "/admin"],
  ] as const)("a route of a regular expression is refused by a rule that would %s %s", async (action, route) => {
    const { ask } = await inExpress(rule(action, route), (app, handler) => app.get(/^\/adm.n$/, handler));
    expect(await ask("/admin")).toEqual(refused);
  });

  test("who may call a route with a parameter may not call one with fixed text in its place", async () => {
    const { ask } = await inExpress(rule("allow", "/reviews/:id"), (app, handler) => {
      app.get("/reviews/all", handler);
      app.get("/reviews/:id", handler);
    });
    expect(await ask("/reviews/7")).toEqual(served);
    expect(await ask("/reviews/all")).toEqual(refused);
  });

  test("a router's parameters are known by what was requested", async () => {
    const { ask } = await inExpress(rule("allow", "/users/:uid/keys/:id"), (app, handler) => {
      const keys = express.Router();
      keys.get("/all", handler);
      keys.get("/:key", handler);
      app.use("/users/:user/keys", keys);
    });
    expect(await ask("/users/7/keys/1")).toEqual(served);
    expect(await ask("/users/7/keys/all")).toEqual(refused);
  });

  test("each route that is tried is asked about, also after a rewrite and in a mounted application", async () => {
    const { ask } = await inExpress(rule("deny", "/v1/secret/:id"), (app, handler) => {
      const mounted = express();
      mounted.get("/secret/1", (_request, _response, next) => next("route"));
      mounted.all("/secret/:id", handler);
      app.use((request, _response, next) => {
        if (request.url === "/old") request.url = "/v1/secret/2";
        next();
      });
      app.use(["/v1", "/v2"], mounted);
    });
    expect(await ask("/v1/secret/1")).toEqual(refused);
    expect(await ask("/V1/Secret/2/", "HEAD")).toEqual(refused);
    expect(await ask("/old", "DELETE")).toEqual(refused);
    expect(await ask("/v2/secret/2")).toEqual(served);
  });
});

describe("in Express, who is quicker than the handlers", () => {
  test("a callback of a parameter does not answer for a route that is denied", async () => {
    const { ask } = await inExpress(rule("deny", "/secrets/:id"), (app, handler) => {
      app.param("id", (_request, response, _next, id) => response.end(`the secret ${id}`));
      app.get("/secrets/:id", handler);
    });
    expect(await ask("/secrets/7")).toEqual(refused);
  });

  test("a handler that is put before all others by hand does not run for a route that is denied", async () => {
    let route: { stack: unknown[] } | undefined;
    const { ask } = await inExpress(rule("deny", "/secret"), (app, handler) => {
      const made = app.route("/secret").get(handler).get(handler);
      route = made as unknown as { stack: unknown[] };
    });
    expect(await ask("/secret")).toEqual(refused);
    route?.stack.unshift(route.stack.pop());
    expect(await ask("/secret")).toEqual(refused);
    route?.stack.splice(0, 2);
    expect(await ask("/secret")).toEqual(refused);
  });
});

describe("in Fastify", () => {
  test("routes of contexts that were there before the plugin are decided before their handlers run", async () => {
    const { ask } = await inFastify(rule("deny", "/v1/early/:id"), (app, ran, plugin) => {
      app.register(
        async (context) => {
          context.get("/early/:id", async () => ran());
          context.get("/other", async () => ran());
        },
        { prefix: "/v1" },
      );
      plugin();
    });
    expect(await ask("/v1/early/7")).toEqual(refused);
    expect(await ask("/v1/early/7", "HEAD")).toEqual(refused);
    expect(await ask("/v1/other")).toEqual(served);
  });

  test("a hook that answers before the plugin's is not let past a rule that denies", async () => {
    const { ask } = await inFastify(rule("deny", "/secret"), (app, ran, plugin) => {
      app.addHook("onRequest", async (_request, reply) => reply.send("the secret"));
      plugin();
      app.get("/secret", async () => ran());
    });
    expect(await ask("/secret")).toEqual(refused);
  });

  test("who may call a route with a parameter may not call one with fixed text in its place", async () => {
    const { ask } = await inFastify(rule("allow", "/reviews/:id"), (app, ran, plugin) => {
      plugin();
      app.get("/reviews/all", async () => ran());
      app.get("/reviews/:id", async () => ran());
    });
    expect(await ask("/reviews/7")).toEqual(served);
    expect(await ask("/reviews/all")).toEqual(refused);
  });

  test("a plugin that only one context has tells no routes, and all is refused", async () => {
    const mesh = testServer({ inbound: constant(inbound("disable", [rule("deny", "/inside")])) });
    const app = fastify();
    app.register(async (context) => {
      // As a plugin that is not to be seen from outside.
      await context.register(async (within) => {
        within.register(fastifyMesh, { mesh });
        within.get("/inside", async () => "inside");
      });
    });
    app.get("/outside", async () => "outside");
    const { port } = await mesh.listen(app, { port: 0, host: "127.0.0.1" });
    expect((await call(port, { path: "/inside" })).status).toBe(403);
    expect((await call(port, { path: "/outside" })).status).toBe(403);
  });
});
