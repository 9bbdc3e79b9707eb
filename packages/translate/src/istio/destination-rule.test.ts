import type { Policy } from "@tulle/policy";
import { describe, expect, test } from "vitest";
import { translated } from "../../test/translated.ts";

const rule = (spec: string, metadata = "name: reviews"): string =>
  `apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: { ${metadata} }\nspec: ${spec}\n---\n`;

const trafficPolicy = (policy: string): string => rule(`{ host: reviews, trafficPolicy: ${policy} }`);

const only = (yaml: string): Policy | undefined => translated(yaml).policies[0];

const unbounded = { maxConnections: 1_000_000, maxPendingRequests: 1_000_000, maxRequests: 1_000_000 };
const rowsOnly = { consecutiveGatewayErrors: 0, successRate: false, failurePercentage: false };

describe("a DestinationRule", () => {
  test("gives a service its subsets, also where no document is about the service", () => {
    expect(
      translated(
        rule(
          "{ host: reviews, subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }] }",
        ),
      ),
    ).toEqual({
      policies: [
        {
          kind: "Service",
          name: "reviews",
          namespace: "default",
          subsets: { v1: { version: "v1" }, v2: { version: "v2" } },
        },
      ],
      findings: [],
    });
  });

  test("is joined with the Kubernetes Service of its host", () => {
    const service = `apiVersion: v1
kind: Service
metadata: { name: reviews }
spec: { selector: { app: reviews }, ports: [{ port: 9080, name: http }] }
---
`;
    expect(only(service + trafficPolicy("{ loadBalancer: { simple: RANDOM } }"))).toEqual({
      kind: "Service",
      name: "reviews",
      namespace: "default",
      port: 9080,
      selector: { app: "reviews" },
      balancer: { algorithm: "random" },
    });
  });

  test("leaves what is there already of its service as it is, but what it decides itself", () => {
    const existing: Policy = {
      kind: "Service",
      name: "reviews",
      port: 9080,
      serviceAccounts: ["bookinfo-reviews"],
      balancer: { algorithm: "random" },
      circuitBreaker: false,
    };
    expect(
      translated(rule("{ host: reviews, subsets: [{ name: v1, labels: { version: v1 } }] }"), { existing: [existing] })
        .policies,
    ).toEqual([
      {
        kind: "Service",
        name: "reviews",
        namespace: "default",
        port: 9080,
        serviceAccounts: ["bookinfo-reviews"],
        circuitBreaker: false,
        subsets: { v1: { version: "v1" } },
      },
    ]);
  });
});

describe("the load balancer", () => {
  test.each([
    ["{ simple: ROUND_ROBIN }", { balancer: { algorithm: "round-robin" } }],
    ["{ simple: LEAST_REQUEST }", { balancer: { algorithm: "least-request" } }],
    ["{ simple: LEAST_CONN }", { balancer: { algorithm: "least-request" } }],
    ["{ simple: UNSPECIFIED }", { balancer: { algorithm: "least-request" } }],
    ["{ warmupDurationSecs: 60s }", { balancer: { algorithm: "least-request" }, slowStart: { window: "60s" } }],
    [
      "{ simple: ROUND_ROBIN, warmup: { duration: 300s, minimumPercent: 5, aggression: 1.5 } }",
      {
        balancer: { algorithm: "round-robin" },
        slowStart: { window: "300s", minimumPercent: 5, aggression: 1.5 },
      },
    ],
    [
      "{ consistentHash: { httpHeaderName: x-user } }",
      { balancer: { algorithm: "ring-hash" }, hashKey: [{ header: "x-user" }] },
    ],
    [
      "{ consistentHash: { httpCookie: { name: user, ttl: 0s, path: /shop }, minimumRingSize: 2048 } }",
      {
        balancer: { algorithm: "ring-hash", minimumRingSize: 2048 },
        hashKey: [{ cookie: "user", ttl: "0s", path: "/shop" }],
      },
    ],
    [
      "{ consistentHash: { useSourceIp: true, ringHash: { minimumRingSize: 512 } } }",
      { balancer: { algorithm: "ring-hash", minimumRingSize: 512 }, hashKey: [{ source: "instance" }] },
    ],
    [
      "{ consistentHash: { httpQueryParameterName: user, maglev: { tableSize: 251 } } }",
      { balancer: { algorithm: "maglev", tableSize: 251 }, hashKey: [{ query: "user" }] },
    ],
    [
      '{ localityLbSetting: { distribute: [{ from: "eu/a/*", to: { "eu/a/*": 80, "eu/b/*": 20 } }] } }',
      {
        balancer: { algorithm: "least-request" },
        locality: { mode: "distribute", distribute: [{ from: "eu/a/*", to: { "eu/a/*": 80, "eu/b/*": 20 } }] },
      },
    ],
  ])("%s", (loadBalancer, fields) => {
    expect(only(trafficPolicy(`{ loadBalancer: ${loadBalancer} }`))).toEqual({
      kind: "Service",
      name: "reviews",
      namespace: "default",
      ...fields,
    });
  });

  test("fails over to near endpoints first as soon as outliers are detected, unless that is turned off", () => {
    const locality = (setting: string): unknown =>
      (only(trafficPolicy(`{ ${setting} outlierDetection: { interval: 5s } }`)) as { locality?: unknown }).locality;
    expect(locality("")).toEqual({ mode: "failover" });
    expect(locality("loadBalancer: { localityLbSetting: { enabled: false } },")).toBe(false);
    expect(locality("loadBalancer: { localityLbSetting: { failover: [{ from: eu, to: us }] } },")).toEqual({
      mode: "failover",
      failover: [{ from: "eu", to: "us" }],
    });
    expect(locality("loadBalancer: { localityLbSetting: { failoverPriority: [a, b=c] } },")).toEqual({
      mode: "failover",
      failoverPriority: ["a", "b=c"],
    });
  });
});

describe("the connection pool and outlier detection", () => {
  test("of Istio's circuit-breaking task", () => {
    expect(
      only(
        trafficPolicy(`
    connectionPool:
      tcp: { maxConnections: 1 }
      http: { http1MaxPendingRequests: 1, maxRequestsPerConnection: 1 }
    outlierDetection:
      consecutive5xxErrors: 1
      interval: 1s
      baseEjectionTime: 3m
      maxEjectionPercent: 100
`)
          .replace("{ host: reviews, trafficPolicy: ", "\n  host: reviews\n  trafficPolicy:")
          .replace(" }\n---", "\n---"),
      ),
    ).toMatchObject({
      connectionPool: {
        maxConnections: 1,
        maxPendingRequests: 1,
        maxRequests: unbounded.maxRequests,
        maxRequestsPerConnection: 1,
        connectTimeout: "10s",
      },
      outlierDetection: {
        consecutive5xx: 1,
        interval: "1s",
        baseEjectionTime: "3m",
        maxEjectionPercent: 100,
        ...rowsOnly,
      },
      panicThreshold: 0,
    });
  });

  test("say out loud what Istio has where they say nothing: no bounds, rows of failures alone, no panic", () => {
    expect(only(trafficPolicy("{ connectionPool: { http: {} }, outlierDetection: {} }"))).toEqual({
      kind: "Service",
      name: "reviews",
      namespace: "default",
      connectionPool: unbounded,
      outlierDetection: rowsOnly,
      panicThreshold: 0,
      locality: { mode: "failover" },
    });
  });

  test.each([
    ["connectionPool: { http: { h2UpgradePolicy: UPGRADE } }", { protocol: "http2" }],
    ["connectionPool: { http: { idleTimeout: 30s } }", { connectionPool: { keepAlive: "30s" } }],
    ["connectionPool: { http: { maxConcurrentStreams: 5 } }", { connectionPool: { maxConcurrentStreams: 5 } }],
    ["connectionPool: { tcp: { maxConnectionDuration: 5m } }", { connectionPool: { maxAge: "5m" } }],
    [
      "connectionPool: { tcp: { maxConnections: 500 } }",
      { connectionPool: { maxConnections: 500, maxConnectionsPerEndpoint: 500 } },
    ],
    ["outlierDetection: { minHealthPercent: 30 }", { panicThreshold: 30 }],
    [
      "outlierDetection: { splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 3 }",
      { outlierDetection: { splitLocalOriginErrors: true, consecutiveLocalOriginFailures: 3 } },
    ],
    ["retryBudget: { percent: 30 }", { retryBudget: { ratio: 0.3 } }],
    ["tls: { mode: SIMPLE, sni: reviews.example }", { tls: { mode: "simple", sni: "reviews.example" } }],
  ])("%s", (policy, fields) => {
    expect(only(trafficPolicy(`{ ${policy} }`))).toMatchObject(fields);
  });

  test("a bound beyond what a policy can say becomes the nearest, and is told", () => {
    const { policies, findings } = translated(
      trafficPolicy("{ connectionPool: { tcp: { maxConnections: 2147483647 } } }"),
    );
    expect(policies).toMatchObject([{ connectionPool: { maxConnections: 1_000_000 } }]);
    expect(findings).toEqual([expect.stringContaining("warning DestinationRule/default/reviews")]);
  });

  test("TLS of the mesh among members needs no word", () => {
    expect(only(trafficPolicy("{ tls: { mode: ISTIO_MUTUAL } }"))).not.toHaveProperty("tls");
  });
});

describe("what subsets and ports say otherwise", () => {
  test("a subset decides the parts that it names, and a port's policy inherits nothing", () => {
    expect(
      only(
        rule(`
  host: reviews
  trafficPolicy:
    loadBalancer: { simple: RANDOM, warmup: { duration: 30s } }
    outlierDetection: { consecutive5xxErrors: 7 }
    portLevelSettings:
      - { port: { number: 8080 }, loadBalancer: { simple: ROUND_ROBIN } }
  subsets:
    - { name: v1, labels: { version: v1 } }
    - { name: v2, labels: { version: v2 }, trafficPolicy: { loadBalancer: { simple: LEAST_REQUEST } } }
    - name: v3
      labels: { version: v3 }
      trafficPolicy:
        portLevelSettings: [{ port: { number: 9090 }, connectionPool: { tcp: { maxConnections: 3 } } }]
`),
      ),
    ).toMatchObject({
      balancer: { algorithm: "random" },
      slowStart: { window: "30s" },
      outlierDetection: { consecutive5xx: 7 },
      portPolicies: {
        "8080": {
          balancer: { algorithm: "round-robin" },
          slowStart: false,
          outlierDetection: {},
          panicThreshold: 50,
          locality: false,
        },
      },
      subsetPolicies: {
        // The subset's balancer goes before that of the port, whose other parts stay away.
        v2: {
          balancer: { algorithm: "least-request" },
          slowStart: false,
          portPolicies: { "8080": { outlierDetection: {}, panicThreshold: 50, locality: false } },
        },
        v3: {
          portPolicies: {
            "8080": { balancer: { algorithm: "round-robin" }, outlierDetection: {} },
            "9090": {
              balancer: { algorithm: "peak-ewma" },
              connectionPool: { maxConnections: 3 },
              outlierDetection: {},
            },
          },
        },
      },
    });
  });
});

test("what a subset or a port cannot say of its service is told: single connections, TLS", () => {
  const { findings } = translated(
    rule(`
  host: reviews
  trafficPolicy:
    portLevelSettings: [{ port: { number: 80 }, tls: { mode: SIMPLE } }]
  subsets:
    - name: v1
      labels: { version: v1 }
      trafficPolicy: { connectionPool: { tcp: { connectTimeout: 2s, maxConnections: 3 } } }
`),
  );
  expect(findings).toEqual([
    expect.stringContaining("no-meaning DestinationRule/default/reviews spec.trafficPolicy.portLevelSettings[0].tls: "),
    expect.stringContaining(
      "no-meaning DestinationRule/default/reviews spec.subsets[0].trafficPolicy.connectionPool.tcp.connectTimeout: ",
    ),
  ]);
});

describe("several DestinationRules", () => {
  const aged = (name: string, age: string, spec: string): string =>
    rule(spec, `name: ${name}, creationTimestamp: "2026-01-0${age}T00:00:00Z"`);

  test("for one host give their subsets, and the oldest its traffic policy, in whatever order they stand", () => {
    const old = aged(
      "old",
      "1",
      "{ host: reviews, subsets: [{ name: a, labels: { v: a } }, { name: b, labels: { v: old } }] }",
    );
    const middle = aged(
      "middle",
      "2",
      "{ host: reviews.default.svc.cluster.local, trafficPolicy: { loadBalancer: { simple: RANDOM } } }",
    );
    const young = aged(
      "young",
      "3",
      "{ host: reviews, trafficPolicy: { loadBalancer: { simple: ROUND_ROBIN } }, subsets: [{ name: b, labels: { v: young } }] }",
    );
    const expected = { subsets: { a: { v: "a" }, b: { v: "old" } }, balancer: { algorithm: "random" } };
    for (const yaml of [old + middle + young, young + middle + old]) {
      const { policies, findings } = translated(yaml);
      expect(policies).toMatchObject([expected]);
      expect(findings).toEqual([
        expect.stringContaining("spec.trafficPolicy: DestinationRule/default/middle is older"),
        expect.stringContaining('an older document has the subset "b"'),
      ]);
    }
  });

  test("the name of a host goes before a wildcard, the service's namespace before the root namespace", () => {
    const all = rule(
      '{ host: "*.default.svc.cluster.local", trafficPolicy: { loadBalancer: { simple: RANDOM } } }',
      "name: all",
    );
    const named = rule("{ host: reviews, trafficPolicy: { loadBalancer: { simple: ROUND_ROBIN } } }", "name: named");
    const root = rule(
      '{ host: "*", trafficPolicy: { loadBalancer: { simple: LEAST_REQUEST } } }',
      "name: root, namespace: istio-system",
    );
    const existing: Policy[] = ["reviews", "ratings"].map((name) => ({ kind: "Service", name }));
    existing.push({ kind: "Service", name: "far", namespace: "other" });
    const algorithms = translated(root + all + named, { existing }).policies.map((policy) => [
      policy.name,
      policy.kind === "Service" && policy.balancer?.algorithm,
    ]);
    expect(algorithms.sort()).toEqual([
      ["far", "least-request"],
      ["ratings", "random"],
      ["reviews", "round-robin"],
    ]);
  });

  test("of one in a caller's namespace only the subsets are taken, which is told", () => {
    const { policies, findings } = translated(
      rule(
        "{ host: reviews.default.svc.cluster.local, trafficPolicy: { loadBalancer: { simple: RANDOM } }, subsets: [{ name: v1, labels: { version: v1 } }] }",
        "name: reviews, namespace: callers",
      ),
    );
    expect(policies).toEqual([
      { kind: "Service", name: "reviews", namespace: "default", subsets: { v1: { version: "v1" } } },
    ]);
    expect(findings).toEqual([
      expect.stringContaining(
        "no-meaning DestinationRule/callers/reviews spec.trafficPolicy: in Istio it holds for callers in callers alone",
      ),
    ]);
  });

  test("one that is exported to nobody says nothing; one for some callers gives its subsets alone, which is told", () => {
    expect(
      translated(rule('{ host: reviews, exportTo: ["~"], trafficPolicy: { loadBalancer: { simple: RANDOM } } }'))
        .policies,
    ).toEqual([]);
    const { policies, findings } = translated(
      rule(
        "{ host: reviews, workloadSelector: { matchLabels: { app: x } }, trafficPolicy: { loadBalancer: { simple: RANDOM } }, subsets: [{ name: v1, labels: { version: v1 } }] }",
      ),
    );
    expect(policies).toEqual([
      { kind: "Service", name: "reviews", namespace: "default", subsets: { v1: { version: "v1" } } },
    ]);
    expect(findings).toEqual([
      expect.stringContaining("no-meaning DestinationRule/default/reviews spec.workloadSelector"),
    ]);
  });

  test("one that is refused takes nothing away from the Service of its host", () => {
    const service =
      "apiVersion: v1\nkind: Service\nmetadata: { name: reviews }\nspec: { ports: [{ port: 9080 }] }\n---\n";
    const { policies, findings } = translated(service + rule("{ host: reviews, trafficPolicy: {} }"));
    expect(policies).toEqual([{ kind: "Service", name: "reviews", namespace: "default", port: 9080 }]);
    expect(findings).toEqual([expect.stringContaining("refused DestinationRule/default/reviews")]);
  });
});

describe("is refused, with its place", () => {
  test.each([
    ["without a host", "{ subsets: [] }", "spec.host"],
    ["with a wildcard in the middle", '{ host: "a.*.b" }', "spec.host"],
    ["with a subset whose name is none", "{ host: a, subsets: [{ name: v_1 }] }", "spec.subsets[0].name"],
    [
      "with a subset of a wrong label",
      '{ host: a, subsets: [{ name: v, labels: { "a b": c } }] }',
      "spec.subsets[0].labels",
    ],
    ["with an unknown field", "{ host: a, trafficPolicies: {} }", "spec.trafficPolicies"],
    ["exported twice to one namespace", '{ host: a, exportTo: [".", default] }', "spec.exportTo"],
    ["exported beside everybody", '{ host: a, exportTo: ["*", b] }', "spec.exportTo"],
    [
      "for some callers, and exported",
      '{ host: a, exportTo: ["*"], workloadSelector: { matchLabels: { app: x } } }',
      "spec.exportTo",
    ],
  ])("%s", (_, spec, path) => {
    const { policies, findings } = translated(rule(spec));
    expect(policies).toEqual([]);
    expect(findings.filter((each) => each.startsWith("refused"))).toContainEqual(
      expect.stringContaining(`refused DestinationRule/default/reviews ${path}`),
    );
  });

  test.each([
    "{}",
    "{ portLevelSettings: [{ port: { number: 80 } }] }",
    "{ portLevelSettings: [{ loadBalancer: { simple: RANDOM } }] }",
    "{ portLevelSettings: [{ port: { number: 0 }, loadBalancer: { simple: RANDOM } }] }",
    "{ loadBalancer: { simple: BEST } }",
    "{ loadBalancer: { simple: RANDOM, consistentHash: { useSourceIp: true } } }",
    "{ loadBalancer: { consistentHash: { useSourceIp: true, httpHeaderName: a } } }",
    "{ loadBalancer: { consistentHash: { ringHash: {}, maglev: {} } } }",
    "{ loadBalancer: { consistentHash: { maglev: { tableSize: 5000013 } } } }",
    "{ loadBalancer: { warmup: { aggression: 1 } } }",
    "{ loadBalancer: { warmup: { duration: 30s, aggression: 0.5 } } }",
    '{ loadBalancer: { localityLbSetting: { distribute: [{ from: "a/*/b", to: { a: 100 } }] } } }',
    '{ loadBalancer: { localityLbSetting: { distribute: [{ from: a, to: { a: 50, "a/b": 50 } }] } } }',
    "{ loadBalancer: { localityLbSetting: { distribute: [{ from: a, to: { a: 0, b: 100 } }] } } }",
    "{ loadBalancer: { localityLbSetting: { failover: [{ from: a, to: a }] } }, outlierDetection: {} }",
    "{ loadBalancer: { localityLbSetting: { failoverPriority: [a] } } }",
    "{ connectionPool: { tcp: { maxConnections: -1 } } }",
    "{ connectionPool: { tcp: { connectTimeout: 0s } } }",
    "{ connectionPool: { tcp: { tcpKeepalive: { time: -1s } } } }",
    "{ connectionPool: { http: { maxRetries: -1 } } }",
    "{ connectionPool: { http: { http1MaxPendingRequests: -1 } } }",
    "{ connectionPool: { http: { maxRequestsPerConnection: -1 } } }",
    "{ connectionPool: { http: { idleTimeout: 1.0005s } } }",
    "{ outlierDetection: { consecutiveLocalOriginFailures: 2 } }",
    "{ outlierDetection: { interval: 1ns } }",
    "{ tls: { mode: MUTUAL } }",
    "{ tls: { mode: SIMPLE, credentialName: a, caCertificates: b } }",
    "{ tls: { mode: SIMPLE, insecureSkipVerify: true, subjectAltNames: [a] } }",
    "{ tunnel: { protocol: GET, targetHost: a.example, targetPort: 443 } }",
    "{ tunnel: { targetHost: a.example } }",
    "{ proxyProtocol: { version: V3 } }",
    "{ retryBudget: { percent: 101 } }",
  ])("with the traffic policy %s", (policy) => {
    const { policies, findings } = translated(trafficPolicy(policy));
    expect(policies).toEqual([]);
    expect(findings.some((each) => each.startsWith("refused"))).toBe(true);
  });
});
