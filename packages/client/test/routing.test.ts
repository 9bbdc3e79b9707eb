import { type Credentials, isMeshError, MeshError, type OutboundSnapshot, type RoutePolicy } from "@tulle/policy";
import { Watchable } from "@tulle/time";
import { describe, expect, test } from "vitest";
import { explain } from "../src/explain.ts";
import { clientOf, type RunningServer, serve, snapshotOf } from "./mesh-of-servers.ts";

const versions = { v1: { version: "v1" }, v2: { version: "v2" } };
const route = (rules: RoutePolicy["rules"], over: Partial<RoutePolicy> = {}): RoutePolicy => ({
  kind: "Route",
  name: "reviews",
  services: ["reviews"],
  rules,
  ...over,
});
const serveVersion = (version: string): Promise<RunningServer> =>
  serve((_request, response) => response.end(version), { version });

const answers = async (client: ReturnType<typeof clientOf>, count: number, headers: Record<string, string> = {}) => {
  const seen: Record<string, number> = {};
  for (let call = 0; call < count; call++) {
    const { body } = await client.request("http://reviews/", { headers });
    const version = await body.text();
    seen[version] = (seen[version] ?? 0) + 1;
  }
  return seen;
};

/** A generation that no handshake is made with. */
const noCredentials: Omit<Credentials, "spiffeId"> = {
  generation: 1,
  certificateChain: "",
  privateKey: "",
  notBeforeMs: 0,
  notAfterMs: 0,
  bundles: [],
};

describe("routing", () => {
  test("the first rule that fits decides, and its split draws by weight", async () => {
    await using v1 = await serveVersion("v1");
    await using v2 = await serveVersion("v2");
    const routes = [
      route([
        { name: "jason", match: [{ headers: { "end-user": { exact: "jason" } } }], split: [{ subset: "v2" }] },
        {
          split: [
            { subset: "v1", weight: 80 },
            { subset: "v2", weight: 20 },
          ],
        },
      ]),
    ];
    const endpoints = [v1.endpoint, v2.endpoint];
    await using client = clientOf(snapshotOf({ reviews: { endpoints, routes, policy: { subsets: versions } } }));
    expect(await answers(client, 20, { "end-user": "jason" })).toEqual({ v2: 20 });
    const { v1: first = 0 } = await answers(client, 200);
    // 80 % of 200 within four standard deviations; the dice are seeded.
    expect(first).toBeGreaterThan(137);
    expect(first).toBeLessThan(183);
    const { context, body } = await client.request("http://reviews/", { headers: { "end-user": "jason" } });
    await body.dump();
    expect(explain(context)).toMatchObject({ rule: "reviews/jason", subset: "v2", revision: "static.1" });
    expect(client.explain("http://reviews/")).toMatchObject({
      rule: "reviews/1",
      destinations: [{ weight: 80 }, { weight: 20 }],
    });
  });

  test("a call that no rule fits is refused where a route says so", async () => {
    const routes = [route([{ match: [{ path: { prefix: "/reviews" } }] }], { unmatched: "refuse" })];
    await using v1 = await serveVersion("v1");
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [v1.endpoint], routes } }));
    expect((await client.fetch("http://reviews/reviews/7")).status).toBe(200);
    await expect(client.fetch("http://reviews/other")).rejects.toMatchObject({ code: "NO_ROUTE", status: 404 });
    expect(client.explain("http://reviews/other").failure).toBe("NO_ROUTE");
  });

  test("a template tells what it found, of calls to come and of calls that were", async () => {
    await using v1 = await serveVersion("v1");
    const routes = [route([{ name: "one", match: [{ path: { template: "/reviews/{id}/{rest=**}" } }] }])];
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [v1.endpoint], routes } }));
    const variables = { id: "7", rest: "a%20b/c" };
    expect(client.explain("http://reviews/reviews/7/a b/c?d")).toMatchObject({ rule: "reviews/one", variables });
    expect(client.explain("http://reviews/reviews/7/a b/c").toString()).toContain("id = 7");
    const response = await client.fetch("http://reviews/reviews/7/a b/c?d");
    expect(explain(response)).toMatchObject({ rule: "reviews/one", variables });
    expect(client.explain("http://reviews/other")).toMatchObject({ rule: "default", variables: {} });
  });

  test("scheme, authority and port are those that the caller wrote", async () => {
    await using v1 = await serveVersion("v1");
    const routes = [
      route([
        { name: "secure", match: [{ scheme: { exact: "https" }, port: 443 }] },
        { name: "long", match: [{ authority: { suffix: ".svc.cluster.local" } }] },
        { name: "named", match: [{ authority: { exact: "shop.example" } }] },
      ]),
    ];
    const endpoints = [v1.endpoint];
    await using client = clientOf(snapshotOf({ reviews: { endpoints, routes, policy: { port: 443 } } }));
    const ruleOf = async (url: string, headers: Record<string, string> = {}) => {
      const { context, body } = await client.request(url, { headers });
      await body.dump();
      return explain(context)?.rule;
    };
    expect(await ruleOf("https://reviews/")).toBe("reviews/secure");
    expect(await ruleOf("http://reviews.default.svc.cluster.local:443/")).toBe("reviews/long");
    expect(await ruleOf("http://reviews:443/", { host: "Shop.example:8443" })).toBe("reviews/named");
    expect(await ruleOf("http://reviews:443/")).toBe("default");
    expect(client.explain("https://reviews/").rule).toBe("reviews/secure");
  });

  test("rules for other callers are left out, and an identity that changes is followed", async () => {
    await using v1 = await serveVersion("v1");
    const routes = [
      route([
        { name: "other", match: [{ source: { service: "details" } }] },
        { name: "shop", match: [{ source: { identity: { exact: "cluster.local/ns/shop/sa/web" } } }] },
        { name: "labelled", match: [{ source: { namespace: "default", labels: { version: "v1" } } }] },
      ]),
    ];
    const credentials = new Watchable<Credentials | undefined>(undefined);
    const snapshot = snapshotOf({ reviews: { endpoints: [v1.endpoint], routes } });
    await using client = clientOf(snapshot, { credentials });
    expect(client.explain("http://reviews/").rule).toBe("reviews/labelled");
    credentials.set({ ...noCredentials, spiffeId: "spiffe://cluster.local/ns/shop/sa/web" });
    expect(client.explain("http://reviews/").rule).toBe("reviews/shop");
    credentials.set({ ...noCredentials, spiffeId: "spiffe://cluster.local/ns/shop/sa/other" });
    expect(client.explain("http://reviews/").rule).toBe("reviews/labelled");
  });

  test("a call whose drawn subset has no endpoint fails, and goes to no other", async () => {
    await using v1 = await serveVersion("v1");
    const routes = [route([{ split: [{ subset: "v2" }] }])];
    const policy = { subsets: versions };
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [v1.endpoint], routes, policy } }));
    const error = await client.fetch("http://reviews/").catch((caught: unknown) => caught);
    expect(isMeshError(error, "NO_HEALTHY_ENDPOINT") && error.message).toContain("subset v2");
  });

  test("the port in a URL is the service port", async () => {
    await using v1 = await serveVersion("v1");
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [v1.endpoint], policy: { port: 9080 } } }));
    expect((await client.fetch("http://reviews:9080/")).status).toBe(200);
    const error = await client.fetch("http://reviews/").catch((caught: unknown) => caught);
    expect(isMeshError(error, "UNKNOWN_SERVICE") && error.message).toContain("has port 9080, not 80");
  });

  test("a new snapshot takes effect with the next call; one that does not compile leaves the last good one", async () => {
    await using v1 = await serveVersion("v1");
    await using v2 = await serveVersion("v2");
    const snapshot = (subset: string, endpoints = [v1.endpoint, v2.endpoint], revision = "e.1"): OutboundSnapshot => {
      const routes = [route([{ split: [{ subset }] }])];
      return snapshotOf({ reviews: { endpoints, routes, policy: { subsets: versions } } }, undefined, revision);
    };
    const outbound = new Watchable(snapshot("v1"));
    const problems: string[] = [];
    await using client = clientOf(outbound, {
      onProblem: (revision, problem) => problems.push(`${revision}: ${problem}`),
    });
    expect(await answers(client, 3)).toEqual({ v1: 3 });
    outbound.set(snapshot("v2", undefined, "e.2"));
    expect(await answers(client, 3)).toEqual({ v2: 3 });
    outbound.set(snapshot("v9", [v1.endpoint], "e.3"));
    expect(problems).toEqual(['e.3: RangeError: service reviews defines no subset "v9"']);
    // The policy stays, but its endpoints are those of now.
    await expect(client.fetch("http://reviews/")).rejects.toMatchObject({ code: "NO_HEALTHY_ENDPOINT" });
    expect(client.explain("http://reviews/")).toMatchObject({ revision: "e.2", rule: "reviews/0" });
  });

  test("the first call to a service waits until the mesh has told of it", async () => {
    await using v1 = await serveVersion("v1");
    const whole = snapshotOf({ reviews: { endpoints: [v1.endpoint] } });
    const outbound = new Watchable<OutboundSnapshot>({ ...whole, services: new Map() });
    const asked: string[] = [];
    await using client = clientOf(outbound, {
      discover: async (service) => {
        asked.push(service);
        if (asked.length > 2) throw new MeshError("UNKNOWN_SERVICE", { message: "it did not come" });
        outbound.set(whole);
      },
    });
    expect(client.explain("http://reviews/").note).toContain("first call");
    expect(await answers(client, 2)).toEqual({ v1: 2 });
    expect(asked).toEqual(["default/reviews"]);
  });

  test("the first call to a service waits for those that its routes lead to as well", async () => {
    await using v1 = await serveVersion("v1");
    const routes = [
      { kind: "Route" as const, name: "front", services: ["front"], rules: [{ split: [{ service: "reviews" }] }] },
    ];
    const front = { endpoints: [], routes };
    const whole = snapshotOf({ front, reviews: { endpoints: [v1.endpoint] } });
    const outbound = new Watchable<OutboundSnapshot>({ ...whole, services: new Map() });
    const asked: string[] = [];
    await using client = clientOf(outbound, {
      discover: async (service) => {
        asked.push(service);
        outbound.set(asked.length === 1 ? snapshotOf({ front }) : whole);
      },
    });
    const reply = await client.fetch("http://front/");
    expect([reply.status, asked]).toEqual([200, ["default/front", "default/reviews"]]);
    await reply.text();
  });

  test("a caller who gives up does not wait for discovery", async () => {
    const whole = snapshotOf({ reviews: { endpoints: [] } });
    await using client = clientOf(
      { ...whole, services: new Map() },
      {
        discover: (_service, signal) =>
          new Promise((_resolve, reject) =>
            signal?.addEventListener("abort", () => reject(signal.reason), { once: true }),
          ),
      },
    );
    const abort = new AbortController();
    const call = client.fetch("http://reviews/", { signal: abort.signal });
    abort.abort(new Error("enough"));
    await expect(call).rejects.toThrow("enough");
  });

  test("discovery is not waited for past the call's own deadline", async () => {
    const whole = snapshotOf({ reviews: { endpoints: [] } });
    await using client = clientOf(
      { ...whole, services: new Map() },
      {
        discover: (_service, signal) =>
          new Promise((_resolve, reject) =>
            signal?.addEventListener("abort", () => reject(signal.reason), { once: true }),
          ),
      },
    );
    const call = client.fetch("http://reviews/", { mesh: { timeout: "30ms" } });
    await expect(call).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
  });

  test("calls made in a visit inherit its deadline", async () => {
    await using v1 = await serve((request, response) =>
      response.end(request.headers["x-envoy-expected-rq-timeout-ms"]),
    );
    let deadlineMs: number | undefined = performance.now() + 900;
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [v1.endpoint] } }), {
      inherit: () => ({ deadlineMs, context: undefined }),
    });
    expect(Number(await (await client.fetch("http://reviews/")).text())).toBeLessThanOrEqual(900);
    deadlineMs = performance.now() - 1;
    await expect(client.fetch("http://reviews/")).rejects.toMatchObject({ code: "DEADLINE_SPENT" });
    deadlineMs = undefined;
    expect(Number(await (await client.fetch("http://reviews/")).text())).toBeGreaterThan(10_000);
  });

  test("explanations read as sentences", async () => {
    await using v1 = await serveVersion("v1");
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [v1.endpoint] } }));
    const response = await client.fetch("http://reviews/7");
    await response.text();
    const told = String(explain(response));
    expect(told).toContain("GET http://reviews/7\n  service default/reviews, policy revision static.1\n  rule default");
    expect(told).toContain(`attempt 1: ${v1.endpoint.id}, answered 200`);
    expect(explain({})).toBeUndefined();
    expect(explain(undefined)).toBeUndefined();
    expect(String(client.explain("http://example.com/"))).toContain("outside the mesh");
  });
});
