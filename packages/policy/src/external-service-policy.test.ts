import { describe, expect, test } from "vitest";
import { externalService } from "./builders/build-external-service.ts";
import { checkPolicies } from "./check-policies.ts";
import {
  type ExternalServicePolicy,
  parseOutsideAddress,
  serviceOfExternal,
  targetsOfExternal,
} from "./external-service-policy.ts";
import { buildNameIndex } from "./name-index.ts";
import type { Policy } from "./policy.ts";
import { describeProblem } from "./policy-problem.ts";
import { externalNamesOf, externalServicesOf } from "./select.ts";

const problemsOf = (...policies: readonly Policy[]): readonly string[] => checkPolicies(policies).map(describeProblem);

const ca = "-----BEGIN CERTIFICATE-----\nTWVzaA==\n-----END CERTIFICATE-----\n";

describe("an ExternalService", () => {
  test.each<[string, ExternalServicePolicy]>([
    ["with nothing but a host", externalService("a", "api.example")],
    ["with everything", externalService("a", ["a.example", "b.example"], { port: 8443, tls: { mode: "mutual", ca } })],
    ["with fixed addresses", externalService("a", "a.example", { resolution: "static", addresses: ["[::1]:8443"] })],
    ["that passes untouched, by wildcard", externalService("a", "*.example.com", { resolution: "none" })],
  ])("%s is right", (_, policy) => expect(problemsOf(policy)).toEqual([]));

  test.each<[string, Partial<ExternalServicePolicy>, string]>([
    ["a URL as host", { hosts: ["https://a.example"] }, "hosts[0]: "],
    ["a wildcard in the middle", { hosts: ["a.*.example"], resolution: "none" }, "hosts[0]: "],
    ["a star alone", { hosts: ["*"], resolution: "none" }, "hosts[0]: "],
    ["a wildcard that is to be resolved", { hosts: ["*.example.com"] }, 'did you mean "none"?'],
    ["static without addresses", { resolution: "static" }, "addresses: is missing"],
    ["an address with a scheme", { addresses: ["http://a"] }, "addresses[0]: "],
    ["an address with port 0", { addresses: ["a.example:0"] }, "addresses[0]: "],
    ["no addresses at all", { addresses: [] }, "addresses: the list is empty"],
    ["a port beside none", { resolution: "none", port: 80 }, "port: means nothing"],
    ["resilience beside none", { resolution: "none", circuitBreaker: false }, "circuitBreaker: means nothing"],
    ["roots that are no PEM", { tls: { ca: "roots.pem" } }, "tls.ca: not certificates in PEM"],
    ["roots beside plaintext", { tls: { mode: "disable", ca } }, "tls.ca: means nothing"],
    ["a name that is none", { tls: { subjectAltNames: ["a b"] } }, "tls.subjectAltNames[0]: "],
    ["too many hosts", { hosts: Array.from({ length: 101 }, (_, n) => `h${n}.example`) }, "hosts: 101 are named"],
    ["what is wrong in a Service too", { connectionPool: { connectTimeout: "0s" } }, "connectionPool.connectTimeout: "],
  ])("with %s is refused, with its place", (_, fields, expected) => {
    const policy: ExternalServicePolicy = { kind: "ExternalService", name: "a", hosts: ["a.example"], ...fields };
    const [problem, ...more] = problemsOf(policy);
    expect(problem).toContain(expected);
    expect(more).toEqual([]);
  });

  test.each<[string, Policy, string]>([
    ["the name of a service", { kind: "Service", name: "api" }, "name: default/api is already a service of the mesh"],
    [
      "a host that a service claims",
      { kind: "Service", name: "b", hosts: ["API.example"] },
      'hosts[0]: "api.example" already means service default/b',
    ],
    [
      "a host of another one",
      externalService("b", "api.example"),
      'hosts[0]: "api.example" already means service default/b',
    ],
  ])("may not take %s", (_, other, expected) => {
    expect(problemsOf(other, externalService("api", "api.example"))).toEqual([
      `ExternalService/default/api ${expected}${expected.startsWith("name") ? ": routes could not tell which one is meant" : ""}`,
    ]);
  });

  test("may be named by routes, whose subsets it does not have, and not be selected", () => {
    const policies: Policy[] = [
      externalService("api", "api.example"),
      { kind: "Service", name: "shop" },
      { kind: "Route", name: "r", services: ["api", "shop"], rules: [{ split: [{ service: "api" }] }] },
    ];
    expect(problemsOf(...policies)).toEqual([]);
    expect(externalServicesOf(policies).get("default/api")?.routes).toHaveLength(1);
    expect(
      problemsOf(
        ...policies,
        { kind: "Route", name: "s", services: ["api"], rules: [{ split: [{ subset: "v1" }] }] },
        { kind: "Access", name: "a", selector: { service: "api" } },
        { kind: "Route", name: "t", services: ["none"], rules: [{}] },
      ),
    ).toEqual([
      'Route/default/s rules[0].split[0].subset: service default/api has no subset "v1"; it has none',
      expect.stringContaining("Access/default/a selector.service: there is no service default/api"),
      expect.stringContaining("Route/default/t services[0]: there is no service default/none"),
    ]);
  });

  test("is a Service to the client's layers: TLS, its port, 5 s to connect, and what it says of resilience", () => {
    expect(serviceOfExternal(externalService("api", "api.example", { circuitBreaker: false }))).toEqual({
      kind: "Service",
      name: "api",
      namespace: "default",
      hosts: ["api.example"],
      port: 443,
      connectionPool: { connectTimeout: "5s" },
      circuitBreaker: false,
      tls: { mode: "simple" },
    });
    expect(serviceOfExternal(externalService("api", "api.example", { tls: { mode: "disable" } }))).toMatchObject({
      port: 80,
    });
  });
});

describe("the targets of an external service", () => {
  test("are its hosts, each with its own name in TLS", () => {
    expect(targetsOfExternal(externalService("a", ["A.example", "b.example"]))).toEqual([
      { names: ["a.example"], port: 443, servername: "a.example", host: "a.example" },
      { names: ["b.example"], port: 443, servername: "b.example", host: "b.example" },
    ]);
  });

  test("are shared by its hosts where nothing tells them apart", () => {
    const hosts = ["a.example", "b.example"];
    const addresses = ["10.0.0.7", "lb.example:8443"];
    expect(targetsOfExternal(externalService("a", hosts, { addresses, tls: { sni: "lb.example" } }))).toEqual([
      { names: ["10.0.0.7"], port: 443, servername: "lb.example", host: undefined },
      { names: ["lb.example"], port: 8443, servername: "lb.example", host: undefined },
    ]);
    expect(targetsOfExternal(externalService("a", hosts, { addresses, tls: { mode: "disable" } }))).toHaveLength(2);
    expect(targetsOfExternal(externalService("a", hosts, { addresses }))).toHaveLength(4);
  });

  test("are none where calls pass untouched", () => {
    expect(targetsOfExternal(externalService("a", "*.example", { resolution: "none" }))).toEqual([]);
  });

  test.each([
    ["10.0.0.7", { host: "10.0.0.7", port: undefined }],
    ["DB.example:5432", { host: "db.example", port: 5432 }],
    ["::1", { host: "::1", port: undefined }],
    ["[2001:db8::1]:443", { host: "2001:db8::1", port: 443 }],
    ["a.example:70000", undefined],
    ["a:b:c", undefined],
    ["", undefined],
  ])("%j as an address", (written, expected) => expect(parseOutsideAddress(written)).toEqual(expected));
});

test("services outside may share a host, each on a port of its own, and the port of a URL tells which is meant", () => {
  const web = externalService("web", "api.example", { port: 80, tls: { mode: "disable" } });
  const secure = externalService("secure", "API.example");
  const admin = externalService("admin", "api.example", { port: 8443 });
  expect(problemsOf(web, secure, admin)).toEqual([]);
  const names = buildNameIndex([], "default", externalNamesOf([web, secure, admin]));
  const keyOn = (port: number): string | undefined => names.lookup("Api.example.", port);
  expect([80, 443, 8443].map(keyOn)).toEqual(["default/web", "default/secure", "default/admin"]);
  expect(keyOn(9090)).toBe(names.lookup("api.example"));

  const originating = buildNameIndex([], "default", externalNamesOf([secure, admin]));
  expect(originating.lookup("api.example", 80)).toBe("default/secure");
  expect(problemsOf(secure, externalService("more", "api.example", { tls: { sni: "a.example" } }))).toEqual([
    'ExternalService/default/more hosts[0]: "api.example" already means service default/secure',
  ]);
  expect(problemsOf(secure, { kind: "Service", name: "b", hosts: ["api.example"] })).toEqual([
    'Service/default/b hosts[0]: "api.example" already means service default/secure',
  ]);
});

test("the index of names knows hosts outside: which are services, and which pass by name or wildcard", () => {
  const policies = [
    externalService("api", "API.example"),
    externalService("clouds", ["*.cloud.example", "one.example"], { resolution: "none" }),
  ];
  const names = buildNameIndex([], "default", externalNamesOf(policies));
  expect(["api.example", "Api.Example.", "api", "x.api.example"].map(names.lookup)).toEqual([
    "default/api",
    "default/api",
    undefined,
    undefined,
  ]);
  const asked = [
    "a.cloud.example",
    "a.b.CLOUD.example",
    "one.example",
    "cloud.example",
    "x.one.example",
    "api.example",
  ];
  expect(asked.map(names.passes)).toEqual([true, true, true, false, false, false]);
  expect(names.near("apy.example")).toEqual(["api.example"]);
  expect(names.size).toBe(0);
});
