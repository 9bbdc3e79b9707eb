import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import { describe, expect, onTestFinished, test } from "vitest";
import type { FoundRoute } from "../src/gate.ts";
import { type RouteGuard, watchExpressRoute } from "../src/route-templates/watch-express-route.ts";

interface Tried {
  readonly status: number;
  readonly asked: readonly FoundRoute[];
  readonly ran: readonly string[];
}

/** Sends one request to an application whose routes the guard is asked about. */
const tryOut = async (
  mount: (app: express.Express, ran: (what: string) => express.RequestHandler) => void,
  path: string,
  { method = "GET", allow = () => true as boolean }: { method?: string; allow?: (route: FoundRoute) => boolean } = {},
): Promise<Tried> => {
  const app = express();
  const ran: string[] = [];
  mount(app, (what) => (_request, response) => {
    ran.push(what);
    response.end(what);
  });
  const asked: FoundRoute[] = [];
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const guard: RouteGuard = (template, next) => {
      asked.push(template);
      if (allow(template)) next();
      else response.writeHead(403).end();
    };
    watchExpressRoute(request, guard);
    app(request, response);
  });
  onTestFinished(() => void server.close());
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { status } = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`, { method });
  return { status, asked, ran };
};

describe("a guard of Express routes", () => {
  test("is asked with the template, before the handler", async () => {
    const tried = await tryOut((app, ran) => app.get("/reviews/:id", ran("review")), "/reviews/7");
    expect(tried).toEqual({ status: 200, asked: ["/reviews/:id"], ran: ["review"] });
  });

  test("keeps the handlers from running when it does not go on", async () => {
    const tried = await tryOut((app, ran) => app.get("/reviews/:id", ran("review")), "/reviews/7", {
      allow: () => false,
    });
    expect(tried).toEqual({ status: 403, asked: ["/reviews/:id"], ran: [] });
  });

  test("names the path at which a router is mounted", async () => {
    const tried = await tryOut((app, ran) => {
      const routes = express.Router();
      routes.get("/:id", ran("review"));
      app.use("/reviews", routes);
    }, "/reviews/7");
    expect(tried.asked).toEqual(["/reviews/:id"]);
  });

  test("is asked again when a route passes on to the next one", async () => {
    const tried = await tryOut(
      (app, ran) => {
        app.get("/reviews/:id", (_request, _response, next) => next("route"));
        app.get("/{*rest}", ran("rest"));
      },
      "/reviews/7",
      { allow: (template) => template === "/reviews/:id" },
    );
    expect(tried).toEqual({ status: 403, asked: ["/reviews/:id", "/{*rest}"], ran: [] });
  });

  test("knows no template of a route that is a regular expression", async () => {
    const tried = await tryOut((app, ran) => app.get(/reviews/, ran("review")), "/reviews");
    expect(tried.asked).toEqual([[]]);
  });

  test("names all templates of a route of several paths, for Express does not say which was found", async () => {
    const tried = await tryOut((app, ran) => app.get(["/reviews", "/votes"], ran("review")), "/votes");
    expect(tried.asked).toEqual([["/reviews", "/votes"]]);
  });

  test("leaves which methods a route answers as it was", async () => {
    const mount = (app: express.Express, ran: (what: string) => express.RequestHandler) => {
      app.get("/reviews", ran("get"));
    };
    expect(await tryOut(mount, "/reviews", { method: "POST" })).toEqual({ status: 404, asked: [], ran: [] });
    expect(await tryOut(mount, "/reviews", { method: "HEAD" })).toMatchObject({ status: 200, ran: ["get"] });
    expect(await tryOut(mount, "/reviews", { method: "OPTIONS" })).toMatchObject({ status: 200, ran: [] });
  });

  test("is asked once where the same route serves many requests", async () => {
    const app = express();
    app.get("/reviews", (_request, response) => void response.end());
    let asked = 0;
    const server = createServer((request, response) => {
      watchExpressRoute(request, (_template, next) => {
        asked++;
        next();
      });
      app(request, response);
    });
    onTestFinished(() => void server.close());
    await once(server.listen(0, "127.0.0.1"), "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/reviews`;
    for (let n = 0; n < 3; n++) await (await fetch(url)).text();
    expect(asked).toBe(3);
  });
});
