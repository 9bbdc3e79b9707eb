import type { Policy, RoutePolicy, RouteRule } from "@tulle/policy";
import { describe, expect, test } from "vitest";
import { translated } from "../../test/translated.ts";

const virtualService = (spec: string, metadata = "name: reviews"): string =>
  `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { ${metadata} }\nspec: ${spec}\n---\n`;

const to = (host: string): string => `route: [{ destination: { host: ${host} } }]`;

const routesOf = (policies: readonly Policy[]): readonly RoutePolicy[] =>
  policies.filter((policy) => policy.kind === "Route");

const rulesOf = (http: string): readonly RouteRule[] =>
  routesOf(translated(virtualService(`{ hosts: [reviews], http: [{ ${http} }] }`)).policies)[0]?.rules ?? [];

describe("hosts", () => {
  test("a short one is a service of the document's namespace, a long one of its own", () => {
    const spec = `{ hosts: [reviews, ratings.prod.svc.cluster.local], http: [{ ${to("reviews")} }] }`;
    expect(routesOf(translated(virtualService(spec, "name: r, namespace: shop")).policies)).toMatchObject([
      { namespace: "shop", services: ["reviews", "ratings.prod"], rules: [{ split: [{ service: "reviews" }] }] },
    ]);
  });

  test("with a wildcard mean the services that documents tell of, but those that another document names", () => {
    const service = (name: string): string =>
      `apiVersion: v1\nkind: Service\nmetadata: { name: ${name} }\nspec: { ports: [{ port: 80 }] }\n---\n`;
    const { policies } = translated(
      service("reviews") +
        service("ratings") +
        virtualService(`{ hosts: ["*.default.svc.cluster.local"], http: [{ ${to("ratings")} }] }`, "name: all") +
        virtualService(`{ hosts: [reviews], http: [{ ${to("reviews")} }] }`),
    );
    expect(routesOf(policies)).toMatchObject([
      { name: "all", services: ["ratings"] },
      { name: "reviews", services: ["reviews"] },
    ]);
  });

  test("that two documents name are the older one's, whatever their order, which is told", () => {
    const aged = (name: string, year: number): string =>
      virtualService(
        `{ hosts: [reviews], http: [{ ${to(name)} }] }`,
        `name: ${name}, creationTimestamp: "${year}-01-01T00:00:00Z"`,
      );
    for (const yaml of [aged("young", 2026) + aged("old", 2025), aged("old", 2025) + aged("young", 2026)]) {
      const { policies, findings } = translated(yaml);
      expect(routesOf(policies).map(({ name }) => name)).toEqual(["old"]);
      expect(findings).toEqual([expect.stringContaining("warning VirtualService/default/young spec.hosts")]);
    }
  });
});

describe("calls that no rule fits", () => {
  test("are refused", () => {
    const { policies } = translated(
      virtualService(`{ hosts: [reviews], http: [{ match: [{ uri: { prefix: /a } }], ${to("reviews")} }] }`),
    );
    expect(routesOf(policies)[0]).toMatchObject({
      unmatched: "refuse",
      rules: [{ match: [{ path: { startsWith: "/a" } }] }],
    });
  });

  test.each([
    ["sourceLabels: { app: web }", { source: { labels: { app: "web" } } }],
    ["sourceNamespace: shop", { source: { namespace: "shop" } }],
    ["port: 9080", { port: 9080 }],
  ])("are not where no rule speaks of their caller or port: %s", (match, reached) => {
    const { policies } = translated(
      virtualService(`{ hosts: [reviews], http: [{ match: [{ uri: { prefix: /a }, ${match} }], ${to("reviews")} }] }`),
    );
    const [route] = routesOf(policies);
    expect(route).not.toHaveProperty("unmatched");
    expect(route?.rules).toMatchObject([
      { match: [{ path: { startsWith: "/a" }, ...reached }] },
      { match: [reached], directResponse: { status: 404 } },
    ]);
  });

  test("are refused in the namespaces alone that a document is exported to", () => {
    const { policies } = translated(
      virtualService(`{ hosts: [reviews], exportTo: [".", shop], http: [{ ${to("reviews")} }] }`),
    );
    const callers = ["default", "shop"].map((namespace) => ({ source: { namespace } }));
    expect(routesOf(policies)[0]?.rules).toMatchObject([
      { match: callers, split: [{ service: "reviews" }] },
      { match: callers, directResponse: { status: 404 } },
    ]);
    expect(
      routesOf(
        translated(virtualService(`{ hosts: [reviews], exportTo: ["~"], http: [{ ${to("reviews")} }] }`)).policies,
      ),
    ).toEqual([]);
  });
});

describe("delegates", () => {
  const root = (match: string, more = ""): string =>
    virtualService(
      `{ hosts: [reviews], http: [{ match: [{ ${match} }], timeout: 3s, delegate: { name: inner, namespace: team } ${more} }, { ${to("reviews")} }] }`,
    );
  const inner = (rule: string, more = ""): string =>
    virtualService(`{ ${more} http: [{ ${rule} }] }`, "name: inner, namespace: team");

  test("fill the rule: both matches, the root's fields where they say nothing, services of their own namespace", () => {
    const { policies } = translated(
      root("uri: { prefix: /a }") + inner(`match: [{ uri: { prefix: /a/b }, method: { exact: GET } }], ${to("v2")}`),
    );
    expect(routesOf(policies)[0]?.rules).toMatchObject([
      {
        match: [{ path: { startsWith: "/a/b" }, method: { exact: "GET" } }],
        timeout: "3s",
        split: [{ service: "v2.team" }],
      },
      { split: [{ service: "reviews" }] },
    ]);
  });

  test.each([
    ["uri: { prefix: /a/b }", "uri: { prefix: /a }"],
    ["uri: { exact: /a }", "uri: { prefix: /a }"],
    ["uri: { exact: /a }", "uri: { exact: /b }"],
    ["uri: { regex: /a.* }", "uri: { exact: /ab }"],
    ["port: 80", "port: 81"],
    ["sourceLabels: { app: a }", "sourceLabels: { app: b }"],
    ["headers: { x: { exact: a } }", "headers: { x: { exact: b } }"],
  ])("give no rule where root and delegate contradict each other: %s, %s", (outer, within) => {
    const { policies } = translated(root(outer) + inner(`match: [{ ${within} }], ${to("v2")}`));
    expect(routesOf(policies)[0]?.rules).toEqual([{ split: [{ service: "reviews" }] }]);
  });

  test.each([
    ["are not there", ""],
    ["are not exported to the root's namespace", inner(to("v2"), 'exportTo: ["."],')],
  ])("that %s leave their rule out, which is told", (_, document) => {
    const { policies, findings } = translated(root("uri: { prefix: /a }") + document);
    expect(routesOf(policies)[0]?.rules).toEqual([{ split: [{ service: "reviews" }] }]);
    expect(findings).toContainEqual(
      expect.stringContaining("spec.http[0].delegate: no document is VirtualService/team/inner"),
    );
  });

  test("that delegate themselves are refused", () => {
    const { findings } = translated(root("uri: { prefix: /a }") + inner("delegate: { name: further }"));
    expect(findings).toContainEqual(expect.stringContaining("refused VirtualService/team/inner spec.http[0].delegate"));
  });
});

describe("destinations", () => {
  test("that nobody tells of have their share answered with 503", () => {
    const rules = rulesOf(
      "route: [{ destination: { host: reviews }, weight: 75 }, { destination: { host: gone.example }, weight: 25 }]",
    );
    expect(rules).toMatchObject([
      { match: [{ fraction: 25 }], directResponse: { status: 503 } },
      { split: [{ service: "reviews", weight: 75 }] },
    ]);
  });

  test("that are one have all calls, whatever weight is written", () => {
    expect(rulesOf("route: [{ destination: { host: reviews, subset: v1 }, weight: 0 }]")).toEqual([
      { split: [{ service: "reviews", subset: "v1" }] },
    ]);
  });

  test("of copies, with their share; copies to nobody are none", () => {
    expect(
      rulesOf(
        `${to("reviews")}, mirrors: [{ destination: { host: ratings, subset: v2 }, percentage: { value: 10 } }, { destination: { host: gone.example } }]`,
      ),
    ).toMatchObject([{ mirror: [{ service: "ratings", subset: "v2", percent: 10 }] }]);
    expect(rulesOf(`${to("reviews")}, mirror: { host: ratings }, mirrorPercentage: { value: 0.5 }`)).toMatchObject([
      { mirror: [{ service: "ratings", percent: 0.5 }] },
    ]);
  });
});

describe("what a rule does", () => {
  test("a rewritten uri stands for the prefix that matched, for all of what a pattern matched", () => {
    expect(
      rulesOf(`match: [{ uri: { prefix: /a } }, { uri: { regex: "/b.*" } }], rewrite: { uri: /new }, ${to("reviews")}`),
    ).toMatchObject([
      { match: [{ path: { startsWith: "/a" } }], rewrite: { prefix: "/new" } },
      { match: [{ path: { regex: "/b.*" } }], rewrite: { path: "/new" } },
    ]);
  });

  test("retries are made for every method, on what is named, or on Istio's own conditions", () => {
    expect(rulesOf(`retries: { attempts: 3, perTryTimeout: 2s, retryOn: "5xx,503" }, ${to("reviews")}`)).toMatchObject([
      { retry: { retries: 3, on: ["5xx"], statuses: [503], nonIdempotent: true }, attemptTimeout: "2s" },
    ]);
    expect(rulesOf(`retries: { attempts: 1 }, ${to("reviews")}`)).toMatchObject([
      {
        retry: {
          on: ["connect-failure", "refused-stream", "unavailable", "cancelled"],
          statuses: [503],
        },
      },
    ]);
    expect(rulesOf(`retries: { attempts: 0 }, ${to("reviews")}`)).toMatchObject([{ retry: false }]);
  });

  test("faults meet the share that is named, and no call where none is", () => {
    expect(
      rulesOf(
        `fault: { delay: { fixedDelay: 7s, percentage: { value: 100 } }, abort: { httpStatus: 500 } }, ${to("reviews")}`,
      ),
    ).toMatchObject([{ fault: { delay: { fixed: "7s", percent: 100 }, abort: { status: 500, percent: 0 } } }]);
  });
});
