import type { Policy } from "@tulle/policy";
import { describe, expect, test } from "vitest";
import { translated } from "../../test/translated.ts";

const document = (kind: string, spec: string, metadata = "name: entry"): string =>
  `apiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: { ${metadata} }\nspec: ${spec}\n---\n`;

const entry = (spec: string, metadata?: string): string => document("ServiceEntry", spec, metadata);

const http = "{ number: 80, name: http, protocol: HTTP }";
const https = "{ number: 443, name: https, protocol: HTTPS }";

const external = (fields: object): object => ({
  kind: "ExternalService",
  name: "entry",
  namespace: "default",
  ...fields,
});

describe("a ServiceEntry outside the mesh", () => {
  test.each<[string, string, object]>([
    ["of HTTPS", `{ hosts: [api.example], ports: [${https}], resolution: DNS }`, { hosts: ["api.example"], port: 443 }],
    [
      "of HTTP, in plaintext",
      `{ hosts: [Api.example.], ports: [${http}], resolution: DNS }`,
      { hosts: ["api.example"], port: 80, tls: { mode: "disable" } },
    ],
    [
      "whose caller's own look-up decides, which is looked up as well",
      `{ hosts: [api.example], ports: [${https}], resolution: NONE }`,
      { hosts: ["api.example"], port: 443 },
    ],
    [
      "at fixed addresses, by the ports of the endpoints, the target port or the port",
      `{ hosts: [api.example], ports: [{ number: 80, name: http, protocol: HTTP, targetPort: 8080 }], resolution: STATIC,
         endpoints: [{ address: 10.0.0.1, ports: { http: 9090 } }, { address: "2001:db8::1" }] }`,
      {
        hosts: ["api.example"],
        port: 80,
        addresses: ["10.0.0.1:9090", "[2001:db8::1]:8080"],
        resolution: "static",
        tls: { mode: "disable" },
      },
    ],
    [
      "at other names",
      `{ hosts: [api.example], ports: [${http}], resolution: DNS, endpoints: [{ address: eu.example }, { address: 10.0.0.1 }] }`,
      {
        hosts: ["api.example"],
        port: 80,
        addresses: ["eu.example:80", "10.0.0.1:80"],
        tls: { mode: "disable" },
      },
    ],
    [
      "with a wildcard, handed on untouched",
      `{ hosts: ["*.example"], ports: [${https}], resolution: NONE }`,
      { hosts: ["*.example"], resolution: "none" },
    ],
    ["without a port, handed on untouched", "{ hosts: [api.example] }", { hosts: ["api.example"], resolution: "none" }],
  ])("%s", (_, spec, fields) => {
    expect(translated(entry(spec))).toEqual({ policies: [external(fields)], findings: [] });
  });

  test("with several hosts and ports is a service for each of them", () => {
    const { policies, findings } = translated(
      entry(`{ hosts: [a.example, b.example], ports: [${http}, ${https}], resolution: DNS }`),
    );
    expect(policies.map(({ name }) => name)).toEqual([
      "entry-a-example-80",
      "entry-a-example-443",
      "entry-b-example-80",
      "entry-b-example-443",
    ]);
    expect(findings).toEqual([]);
  });

  test("of another protocol goes its way without the mesh, which is told", () => {
    const { policies, findings } = translated(
      entry("{ hosts: [db.example], ports: [{ number: 5432, name: db, protocol: TCP }], resolution: DNS }"),
    );
    expect(policies).toEqual([external({ hosts: ["db.example"], resolution: "none" })]);
    expect(findings).toEqual([expect.stringContaining("no-meaning ServiceEntry/default/entry spec.ports")]);
  });

  test("begins TLS where a DestinationRule says so, of the port or of all", () => {
    const spec = `{ hosts: [api.example], ports: [{ number: 80, name: http, protocol: HTTP, targetPort: 443 }], resolution: DNS, subjectAltNames: [other.example] }`;
    const simple = document(
      "DestinationRule",
      "{ host: api.example, trafficPolicy: { tls: { mode: SIMPLE, sni: api.example } } }",
    );
    const ofPort = document(
      "DestinationRule",
      "{ host: api.example, trafficPolicy: { portLevelSettings: [{ port: { number: 80 }, tls: { mode: SIMPLE, sni: api.example } }] } }",
    );
    for (const rule of [simple, ofPort]) {
      expect(translated(entry(spec) + rule)).toEqual({
        policies: [
          external({
            hosts: ["api.example"],
            port: 80,
            addresses: ["api.example:443"],
            tls: { mode: "simple", sni: "api.example", subjectAltNames: ["other.example"] },
          }),
        ],
        findings: [],
      });
    }
  });

  test("meets what a DestinationRule says of its host", () => {
    const rule = document(
      "DestinationRule",
      '{ host: "*.example", trafficPolicy: { loadBalancer: { simple: RANDOM }, outlierDetection: { consecutive5xxErrors: 3 } } }',
    );
    expect(
      translated(entry(`{ hosts: [api.example], ports: [${https}], resolution: DNS }`) + rule).policies,
    ).toMatchObject([
      { balancer: { algorithm: "random" }, outlierDetection: { consecutive5xx: 3 }, panicThreshold: 0 },
    ]);
  });

  test("has the addresses of the WorkloadEntries that it selects", () => {
    const workload = (name: string, spec: string): string => document("WorkloadEntry", spec, `name: ${name}`);
    const { policies } = translated(
      entry(
        `{ hosts: [api.example], ports: [${http}], resolution: STATIC, workloadSelector: { labels: { app: api } } }`,
      ) +
        workload("a", "{ address: 10.0.0.1, labels: { app: api }, ports: { http: 8080 } }") +
        workload("b", "{ address: 10.0.0.2, labels: { app: other } }"),
    );
    expect(policies).toMatchObject([{ addresses: ["10.0.0.1:8080"], resolution: "static" }]);
  });

  test("of two for one host and port the older holds, which is told", () => {
    const aged = (name: string, year: number): string =>
      entry(
        `{ hosts: [api.example], ports: [${https}], resolution: DNS }`,
        `name: ${name}, creationTimestamp: "${year}-01-01T00:00:00Z"`,
      );
    const { policies, findings } = translated(aged("young", 2026) + aged("old", 2025));
    expect(policies.map(({ name }) => name)).toEqual(["old"]);
    expect(findings).toEqual([expect.stringContaining("warning ServiceEntry/default/young spec.hosts")]);
  });

  test("that is exported to nobody is nothing", () => {
    expect(translated(entry(`{ hosts: [api.example], ports: [${https}], exportTo: ["~"] }`)).policies).toEqual([]);
  });
});

describe("a ServiceEntry inside the mesh", () => {
  const inside = entry(
    `{ hosts: [vm.example], location: MESH_INTERNAL, ports: [${http}], resolution: STATIC, workloadSelector: { labels: { app: vm } } }`,
  );

  test("is a service under a further name, with the accounts of its workloads", () => {
    const workload = document(
      "WorkloadEntry",
      "{ address: 10.0.0.1, labels: { app: vm }, serviceAccount: machines }",
      "name: vm",
    );
    expect(translated(inside + workload)).toEqual({
      policies: [
        {
          kind: "Service",
          name: "vm-example",
          namespace: "default",
          hosts: ["vm.example"],
          port: 80,
          selector: { app: "vm" },
          serviceAccounts: ["machines"],
        },
      ],
      findings: [],
    });
  });

  test("keeps its name when it is applied again", () => {
    const { policies } = translated(inside);
    expect(translated(inside, { existing: policies }).policies).toEqual(policies);
  });

  test("takes accounts from names of certificates, and meets DestinationRules and routes by its host", () => {
    const more = inside.replace(
      "resolution:",
      'subjectAltNames: ["spiffe://cluster.local/ns/default/sa/legacy"], resolution:',
    );
    const rule = document(
      "DestinationRule",
      "{ host: vm.example, trafficPolicy: { loadBalancer: { simple: RANDOM } } }",
    );
    const route = document(
      "VirtualService",
      "{ hosts: [vm.example], http: [{ route: [{ destination: { host: vm.example } }] }] }",
    );
    expect(translated(more + rule + route).policies).toMatchObject([
      { kind: "Service", name: "vm-example", serviceAccounts: ["legacy"], balancer: { algorithm: "random" } },
      { kind: "Route", services: ["vm-example"], rules: [{ split: [{ service: "vm-example" }] }] },
    ]);
  });
});

describe("a VirtualService of a host outside", () => {
  const both = entry(`{ hosts: [api.example], ports: [${http}, ${https}], resolution: DNS }`);

  test("is for the ports that speak HTTP, and may lead to the others", () => {
    const route = document(
      "VirtualService",
      "{ hosts: [api.example], http: [{ match: [{ port: 80 }], route: [{ destination: { host: api.example, port: { number: 443 } } }] }] }",
    );
    expect(translated(both + route).policies[2]).toMatchObject({
      services: ["entry-80"],
      rules: [
        { match: [{ port: 80 }], split: [{ service: "entry-443" }] },
        { match: [{ port: 80 }], directResponse: { status: 404 } },
      ],
    });
  });

  test("leads to the port of the call where it names none", () => {
    const ports = `[${http}, { number: 8080, name: http-admin, protocol: HTTP }]`;
    const route = document(
      "VirtualService",
      "{ hosts: [api.example], http: [{ timeout: 1s, route: [{ destination: { host: api.example } }] }] }",
    );
    const { policies } = translated(entry(`{ hosts: [api.example], ports: ${ports}, resolution: DNS }`) + route);
    expect(policies[2]).toMatchObject({
      services: ["entry-80", "entry-8080"],
      rules: [{ timeout: "1s", split: [{}] }],
    });
    expect(JSON.stringify(policies[2])).toContain('"split":[{}]');
  });

  test("finds the services that are there already", () => {
    const existing: Policy[] = [
      { kind: "ExternalService", name: "there", hosts: ["api.example"], tls: { mode: "disable" } },
    ];
    const route = document(
      "VirtualService",
      "{ hosts: [api.example], http: [{ timeout: 1s, route: [{ destination: { host: api.example } }] }] }",
    );
    expect(translated(route, { existing }).policies).toMatchObject([
      { kind: "Route", services: ["there"], rules: [{ timeout: "1s", split: [{ service: "there" }] }] },
    ]);
  });
});

describe("is refused", () => {
  const p = `ports: [${http}]`;
  test.each([
    '{ hosts: ["*"] }',
    "{ hosts: [] }",
    "{ hosts: [-a.example] }",
    `{ hosts: [a.example], ports: [${http}, { number: 80, name: b, protocol: HTTP }] }`,
    "{ hosts: [a.example], ports: [{ number: 80, name: a, protocol: CARRIER-PIGEON }] }",
    "{ hosts: [a.example], ports: [{ number: 0, name: a, protocol: HTTP }] }",
    "{ hosts: [a.example], ports: [{ number: 80, protocol: HTTP }] }",
    "{ hosts: [a.example], ports: [{ number: 80, name: a b, protocol: HTTP }] }",
    '{ hosts: [a.example], addresses: ["10.0.0.0/33"] }',
    '{ hosts: [a.example], addresses: ["10.0.0.0/8"], resolution: DNS }',
    '{ hosts: [a.example], addresses: ["a.example"] }',
    `{ hosts: [a.example], ${p}, resolution: STATIC, endpoints: [{}] }`,
    `{ hosts: [a.example], ${p}, resolution: STATIC, endpoints: [{ address: 10.0.0.1, ports: { other: 80 } }] }`,
    `{ hosts: [a.example], ${p}, resolution: STATIC, endpoints: [{ address: "unix://relative" }] }`,
    `{ hosts: [a.example], ${p}, resolution: STATIC, endpoints: [{ address: "unix:///a", ports: { http: 80 } }] }`,
    `{ hosts: [a.example], ${p}, resolution: DNS, endpoints: [{ address: "unix:///a" }] }`,
    `{ hosts: [a.example], ${p}, resolution: DNS, endpoints: [{ address: "*.example" }] }`,
    `{ hosts: [a.example], ${p}, resolution: DNS, workloadSelector: { labels: { a: b } }, endpoints: [{ address: b.example }] }`,
    `{ hosts: ["*.example"], ${p}, resolution: DNS }`,
    `{ hosts: [a.example], ${p}, resolution: SOMEHOW }`,
    `{ hosts: [a.example], ${p}, location: ELSEWHERE }`,
    "{ hosts: [a.example, b.example], ports: [{ number: 1, name: a, protocol: TCP }], resolution: DNS }",
    '{ hosts: [a.example], exportTo: ["~", b] }',
    '{ hosts: [a.example], workloadSelector: { labels: { "": b } } }',
  ])("%s", (spec) => {
    const { policies, findings } = translated(entry(spec));
    expect(policies).toEqual([]);
    expect(findings.some((each) => each.startsWith("refused"))).toBe(true);
  });
});
