import { expect, expectTypeOf, test } from "vitest";
import type { Policy } from "../policy.ts";
import { PolicyError } from "../policy-problem.ts";
import type { ServicePolicy } from "../service-policy.ts";
import { access } from "./build-access.ts";
import { authentication } from "./build-authentication.ts";
import { mesh } from "./build-mesh.ts";
import { type RouteBuilder, route } from "./build-route.ts";
import { service } from "./build-service.ts";
import { definePolicies } from "./define-policies.ts";

const reviews = service("reviews", { subsets: { v1: { version: "v1" }, v2: { version: "v2" } } });
const productpage = service("productpage", { serviceAccounts: ["page", "page-canary"] });
const ratings = service("ratings", { namespace: "other" });

test("a rule's traffic actions are written beside its split", () => {
  const built = route(reviews).split(
    { v1: 80, v2: 20 },
    {
      sticky: [{ header: "end-user" }],
      sessionAffinity: { cookie: {} },
      mirror: [{ service: "ratings.other", percent: 10 }],
      fault: { delay: { fixed: "5s", percent: 1 }, abort: { grpcStatus: "UNAVAILABLE", percent: 0.5 } },
    },
  );
  expect(definePolicies([reviews, ratings, built]).at(-1)).toMatchObject({
    rules: [
      {
        split: [
          { subset: "v1", weight: 80 },
          { subset: "v2", weight: 20 },
        ],
        sticky: [{ header: "end-user" }],
        mirror: [{ service: "ratings.other", percent: 10 }],
        fault: { abort: { grpcStatus: "UNAVAILABLE" } },
      },
    ],
  });
  expect(() => definePolicies([reviews, route(reviews).toAll({ mirror: [{ subset: "v3" }] })])).toThrow(
    'service default/reviews has no subset "v3"',
  );
});

test("the bookinfo policies, built", () => {
  const policies = definePolicies([
    mesh({ defaults: { timeout: "5s" } }),
    reviews,
    productpage,
    ratings,
    route(reviews)
      .when({ headers: { "end-user": "jason" } }, { path: { prefix: "/beta" }, query: { beta: { present: true } } })
      .to("v2", { name: "jason", timeout: "2s" })
      .when({ path: "/health", methods: ["GET"] })
      .toAll({ retry: false })
      .split({ v1: 80, v2: 20 }),
    route(ratings, { unmatched: "refuse" }).to(reviews),
    access(reviews).allow(
      { from: productpage, to: { methods: ["GET"] } },
      { name: "probe", to: [{ paths: ["/health"] }] },
    ),
    access("all", { namespace: "other" }).deny({ from: [{ notPrincipals: ["*"] }] }),
    access(productpage).allow(),
    authentication(productpage, "permissive"),
    authentication("all", "strict"),
  ]);
  expect(policies).toStrictEqual([
    { kind: "Mesh", name: "mesh", defaults: { timeout: "5s" } },
    { kind: "Service", name: "reviews", subsets: { v1: { version: "v1" }, v2: { version: "v2" } } },
    { kind: "Service", name: "productpage", serviceAccounts: ["page", "page-canary"] },
    { kind: "Service", name: "ratings", namespace: "other" },
    {
      kind: "Route",
      name: "reviews",
      services: ["reviews"],
      rules: [
        {
          match: [
            { headers: { "end-user": { exact: "jason" } } },
            { path: { prefix: "/beta" }, query: { beta: { present: true } } },
          ],
          split: [{ subset: "v2" }],
          name: "jason",
          timeout: "2s",
        },
        { match: [{ path: { exact: "/health" }, methods: ["GET"] }], retry: false },
        {
          split: [
            { subset: "v1", weight: 80 },
            { subset: "v2", weight: 20 },
          ],
        },
      ],
    },
    {
      kind: "Route",
      name: "ratings",
      namespace: "other",
      unmatched: "refuse",
      services: ["ratings"],
      rules: [{ split: [{ service: "reviews.default" }] }],
    },
    {
      kind: "Access",
      name: "reviews-allow",
      selector: { service: "reviews" },
      action: "allow",
      rules: [
        {
          from: [{ principals: ["cluster.local/ns/default/sa/page", "cluster.local/ns/default/sa/page-canary"] }],
          to: [{ methods: ["GET"] }],
        },
        { name: "probe", to: [{ paths: ["/health"] }] },
      ],
    },
    {
      kind: "Access",
      name: "all-deny",
      namespace: "other",
      action: "deny",
      rules: [{ from: [{ notPrincipals: ["*"] }] }],
    },
    { kind: "Access", name: "productpage-allow", selector: { service: "productpage" }, action: "allow", rules: [] },
    {
      kind: "Authentication",
      name: "productpage",
      selector: { service: "productpage" },
      mtls: { mode: "permissive" },
    },
    { kind: "Authentication", name: "all", mtls: { mode: "strict" } },
  ]);
});

test("a route is data to everybody else, and each step leaves the one before it as it was", () => {
  const base = route(reviews);
  const grown = base.split({ v1: 1 });
  expect(base.rules).toEqual([]);
  const plain = {
    kind: "Route",
    name: "reviews",
    services: ["reviews"],
    rules: [{ split: [{ subset: "v1", weight: 1 }] }],
  };
  expect(JSON.parse(JSON.stringify(grown))).toEqual(plain);
  expect({ ...grown }).toStrictEqual(plain);
  expect(structuredClone(grown)).toStrictEqual(plain);
});

test("a subset that does not exist does not compile", () => {
  expectTypeOf(route(reviews)).toEqualTypeOf<RouteBuilder<"v1" | "v2">>();
  // @ts-expect-error reviews has no v3
  route(reviews).to("v3");
  // @ts-expect-error reviews has no v3
  route(reviews).split({ v1: 80, v3: 20 });
  // @ts-expect-error reviews has no v3
  route(reviews).when({ path: "/" }).to("v3");
  // @ts-expect-error ratings has no subset at all
  route(ratings).to("v1");
  // @ts-expect-error a timeout is a duration
  route(reviews).to("v1", { timeout: "2" });
  expectTypeOf(reviews).toExtend<ServicePolicy>();
  expectTypeOf(route(reviews).to("v1")).toExtend<Policy>();
  const read: ServicePolicy = reviews;
  expect(route(read).to("any").rules).toHaveLength(1);
});

test("what is wrong is thrown with all problems", () => {
  const read: ServicePolicy = reviews;
  const wrong = () => definePolicies([reviews, route(read).to("v3"), mesh({ sampling: 1 })]);
  expect(wrong).toThrow(PolicyError);
  expect(wrong).toThrow(/^2 problems in the policies:\n {2}Route.*has no subset "v3".*\n {2}Mesh.*not supported yet$/);
});

test("rules answer by themselves, and destinations say more than their weight", () => {
  const built = route(reviews)
    .when({ path: "/old" })
    .redirect(
      { path: "/new", status: 308 },
      { name: "moved", responseHeaders: { set: { "cache-control": "no-store" } } },
    )
    .when({ path: "/closed" })
    .respond({ status: 503, body: "closed" })
    .split(
      { v1: 90, v2: { weight: 10, requestHeaders: { set: { "x-canary": "yes" } }, rewrite: { host: "canary" } } },
      { rewrite: { regex: { pattern: "^/v1", substitution: "/v2" } }, cors: { allowOrigins: [{ exact: "*" }] } },
    );
  expect(definePolicies([reviews, built]).at(-1)).toMatchObject({
    rules: [
      { name: "moved", match: [{ path: { exact: "/old" } }], redirect: { path: "/new", status: 308 } },
      { directResponse: { status: 503, body: "closed" } },
      {
        split: [
          { subset: "v1", weight: 90 },
          { subset: "v2", weight: 10, requestHeaders: { set: { "x-canary": "yes" } }, rewrite: { host: "canary" } },
        ],
        cors: { allowOrigins: [{ exact: "*" }] },
      },
    ],
  });
  // @ts-expect-error a rule that answers by itself sends nothing that could be rewritten
  expect(() => definePolicies([reviews, route(reviews).redirect({}, { rewrite: { path: "/a" } })])).toThrow(
    "sends nothing",
  );
});
