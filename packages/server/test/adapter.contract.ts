import { AsyncLocalStorage } from "node:async_hooks";
import { once } from "node:events";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { AccessPolicy } from "@tulle/policy";
import type { ListenApp, MeshServer, Visit } from "@tulle/server";
import { constant } from "@tulle/time";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { call, inbound, testServer } from "./fixtures.ts";
import { recordTelemetry } from "./telemetry.ts";

/** What a handler of the suite saw. */
export interface Seen {
  readonly permit: unknown;
  readonly transport: string | undefined;
  /** Whether the code runs inside the visit. */
  readonly inside: boolean;
}

/** What the suite asks of the application that it is run on. */
export interface Scene {
  readonly server: MeshServer;
  /** Asked by each handler, after it has read what it reads. */
  readonly see: (visit: Pick<Visit, "permit" | "peer"> | undefined) => Seen;
  /** Hears of each handler that ran. */
  readonly ran: (what: string) => void;
}

/**
 * An application with `GET /early` mounted before the middleware, and after it `GET /reviews/:id` and `POST /echo` that
 * answer what {@link Scene.see} says; both set the header `tulle-refused`. `GET /mine` requires of its permit what does not hold, because
 * of "not the owner".
 */
export interface AdapterUnderTest {
  readonly app: (scene: Scene) => ListenApp;
  /** The same application on a server of its own. */
  readonly own: (scene: Scene) => Promise<Server>;
  /** Where the framework has route templates. */
  readonly template: string | undefined;
}

const allowReviews: AccessPolicy = {
  kind: "Access",
  name: "reviews-only",
  rules: [{ name: "reads", to: [{ paths: ["/reviews/*", "/echo"] }] }],
};

/** What every adapter promises. */
export const adapterContract = (name: string, adapter: AdapterUnderTest): void => {
  const stage = (access: readonly AccessPolicy[]): { scene: Scene; ran: string[] } => {
    const visits = new AsyncLocalStorage<Visit>();
    const ran: string[] = [];
    const server = testServer({
      inbound: constant(inbound("disable", access)),
      enter: (visit, run) => visits.run(visit, run),
    });
    return {
      ran,
      scene: {
        server,
        ran: (what) => void ran.push(what),
        see: (visit) => ({
          permit: visit?.permit?.by,
          transport: visit?.peer?.transport,
          inside: visits.getStore() !== undefined && visits.getStore()?.open === true,
        }),
      },
    };
  };
  const behindMesh = async (access: readonly AccessPolicy[]) => {
    const { scene, ran } = stage(access);
    const { port } = await scene.server.listen(adapter.app(scene), { port: 0, host: "127.0.0.1" });
    return { port, ran };
  };
  const onItsOwn = async (access: readonly AccessPolicy[]) => {
    const { scene, ran } = stage(access);
    const server = await adapter.own(scene);
    onTestFinished(() => {
      server.close();
      server.closeAllConnections();
    });
    if (!server.listening) await once(server.listen(0, "127.0.0.1"), "listening");
    return { port: (server.address() as AddressInfo).port, ran };
  };

  describe.each([
    ["behind mesh.listen", behindMesh],
    ["on a listener of its own", onItsOwn],
  ] as const)(`${name} %s`, (_where, start) => {
    test("serves what Access allows, and the handler sees the permit", async () => {
      const { port } = await start([allowReviews]);
      const answer = await call(port, { path: "/reviews/7" });
      expect(answer.status).toBe(200);
      expect(JSON.parse(answer.body)).toEqual({
        permit: { policy: "Access/default/reviews-only", rule: "reads" },
        transport: "plaintext",
        inside: true,
      });
    });

    test("refuses what no rule allows, and no handler runs", async () => {
      const { port, ran } = await start([{ ...allowReviews, rules: [{ to: [{ paths: ["/nothing"] }] }] }]);
      expect(await call(port, { path: "/reviews/7" })).toMatchObject({ status: 403, body: "Forbidden\n" });
      expect(await call(port, { path: "/echo", method: "POST", body: "x" })).toMatchObject({ status: 403 });
      expect(ran).toEqual([]);
    });

    if (adapter.template !== undefined)
      describe("under rules that name routes", () => {
        const routes = (...names: string[]): AccessPolicy => ({
          kind: "Access",
          name: "by-route",
          rules: [{ name: "routes", to: [{ routes: names }] }],
        });

        test("serves the routes that are allowed, and the handler sees the permit", async () => {
          const { port } = await start([routes("/reviews/:any")]);
          const answer = await call(port, { path: "/reviews/7" });
          expect(answer.status).toBe(200);
          expect(JSON.parse(answer.body)).toMatchObject({
            permit: { policy: "Access/default/by-route", rule: "routes" },
            inside: true,
          });
        });

        test("refuses other routes before their handlers run, and calls without a route", async () => {
          const { port, ran } = await start([routes("/reviews/:id")]);
          expect(await call(port, { path: "/echo", method: "POST", body: "x" })).toMatchObject({ status: 403 });
          expect(await call(port, { path: "/nowhere" })).toMatchObject({ status: 403, body: "Forbidden\n" });
          expect(ran).toEqual([]);
        });

        test("denies a route however its path is written, and leaves the others alone", async () => {
          const { port, ran } = await start([{ ...routes("/reviews/:id"), action: "deny" }]);
          for (const path of ["/reviews/7", "/reviews/%37", "/reviews/7?x=1"]) {
            expect(await call(port, { path })).toMatchObject({ status: 403 });
          }
          expect(ran).toEqual([]);
          expect(await call(port, { path: "/nowhere" })).toMatchObject({ status: 404 });
          const headers = { "content-type": "application/json" };
          expect(await call(port, { path: "/echo", method: "POST", body: "{}", headers })).toMatchObject({
            status: 200,
          });
        });

        test("refuses at once what no route could be allowed", async () => {
          const readers = routes("/reviews/:id");
          const { port, ran } = await start([
            { ...readers, rules: [{ to: [{ routes: ["*"], methods: ["GET"] }] }] },
            { kind: "Access", name: "no-posts", action: "deny", rules: [{ to: [{ methods: ["POST"] }] }] },
          ]);
          expect(await call(port, { path: "/echo", method: "POST", body: "x" })).toMatchObject({ status: 403 });
          expect(await call(port, { path: "/reviews/7" })).toMatchObject({ status: 200 });
          expect(ran).toEqual(["reviews"]);
        });

        test("names no route to strangers, and tells telemetry the rule", async () => {
          const telemetry = recordTelemetry();
          const { port } = await start([{ ...routes("/reviews/:id"), action: "deny" }]);
          await call(port, { path: "/reviews/7" });
          await vi.waitFor(async () => {
            const [span] = await telemetry.spans();
            expect(span?.attributes).toMatchObject({
              "tulle.refusal.detail": expect.stringContaining("Access/default/by-route rule routes denies"),
              "http.route": adapter.template,
            });
          });
        });
      });

    if (adapter.template === undefined) {
      test("refuses all where rules name routes, for nobody tells any", async () => {
        const { port, ran } = await start([
          { kind: "Access", name: "by-route", rules: [{ to: [{ routes: ["*"] }] }, { to: [{ paths: ["/x"] }] }] },
        ]);
        expect(await call(port, { path: "/x" })).toMatchObject({ status: 403 });
        expect(await call(port, { path: "/reviews/7" })).toMatchObject({ status: 403 });
        expect(ran).toEqual([]);
      });
    }

    test("refuses what the handler's own check does not allow, and tells strangers nothing", async () => {
      const { port } = await start([]);
      const answer = await call(port, { path: "/mine" });
      expect(answer.status).toBe(403);
      expect(answer.body).not.toContain("not the owner");
    });

    test("is inside the visit still after a body was read", async () => {
      const { port } = await start([]);
      const answer = await call(port, {
        path: "/echo",
        method: "POST",
        body: JSON.stringify({ a: 1 }),
        headers: { "content-type": "application/json" },
      });
      expect(JSON.parse(answer.body)).toMatchObject({ permit: "default", inside: true });
    });

    test("lets no handler forge what only a gate may say", async () => {
      const { port } = await start([]);
      const answer = await call(port, { path: "/reviews/7" });
      expect(answer.status).toBe(200);
      expect(answer.headers).not.toHaveProperty("tulle-refused");
    });

    test("tells telemetry of served and refused visits, with the route template where there is one", async () => {
      const telemetry = recordTelemetry();
      const { port } = await start([allowReviews]);
      await call(port, { path: "/reviews/7" });
      await call(port, { path: "/else" });
      const route = adapter.template === undefined ? {} : { "http.route": adapter.template };
      await vi.waitFor(async () => {
        const attributes = (await telemetry.points("http.server.request.duration")).map((point) => point.attributes);
        expect(attributes).toEqual([
          expect.objectContaining({ "http.request.method": "GET", "http.response.status_code": 200, ...route }),
          expect.objectContaining({ "http.response.status_code": 403, "tulle.error.code": "ACCESS_DENIED" }),
        ]);
      });
      expect((await telemetry.spans()).map((span) => span.name)).toEqual([
        adapter.template === undefined ? "GET" : `GET ${adapter.template}`,
        "GET",
      ]);
    });
  });

  if (name === "Express")
    test("Express: routes mounted before the middleware are decided too", async () => {
      const { port, ran } = await behindMesh([
        { kind: "Access", name: "by-route", action: "deny", rules: [{ to: [{ routes: ["/early"] }] }] },
      ]);
      for (const path of ["/early", "/EARLY", "/early/"])
        expect(await call(port, { path })).toMatchObject({ status: 403 });
      expect(ran).toEqual([]);
    });

  test(`${name}: behind mesh.listen the gates hold for routes mounted before the middleware too`, async () => {
    const { port, ran } = await behindMesh([allowReviews]);
    expect(await call(port, { path: "/early" })).toMatchObject({ status: 403 });
    expect(ran).toEqual([]);
  });
};
