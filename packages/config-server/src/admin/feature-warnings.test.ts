import { externalService, type Policy, type RoutePolicy, type StringMatch } from "@tulle/policy";
import type { MemberStatus } from "@tulle/protocol";
import { expect, test } from "vitest";
import { featureWarnings } from "./feature-warnings.ts";

const member = (id: string, features: readonly string[], connected = true): MemberStatus => ({
  id,
  service: "default/productpage",
  spiffeId: "spiffe://cluster.local/ns/default/sa/productpage",
  labels: {},
  software: "tulle/0.1.0",
  protocol: 1,
  features,
  connected,
  sinceMs: 0,
  revisions: {},
  refusals: {},
  subscriptions: [],
});

const by = (name: string, user: StringMatch): RoutePolicy => ({
  kind: "Route",
  name,
  services: ["reviews"],
  rules: [{ match: [{ headers: { "end-user": user } }] }],
});

const able = member("able", ["gzip", "policy:regex-re2"]);
const lacking = ["p-1", "p-2"].map((id) => member(id, ["gzip"]));

test.each<[string, readonly Policy[], readonly MemberStatus[]]>([
  ["a pattern that is proven linear", [by("a", { regex: "j.*", linear: true })], lacking],
  ["no pattern", [by("a", { prefix: "j" }), { kind: "Service", name: "reviews" }], lacking],
  ["members that have re2js", [by("a", { regex: "(a+)+b" })], [able]],
  ["members that are gone", [by("a", { regex: "(a+)+b" })], [member("gone", [], false)]],
])("is silent for %s", (_, puts, members) => {
  expect(featureWarnings(puts, members)).toEqual([]);
});

test("names the policies that need a feature and each connected member that lacks it", () => {
  const puts = [by("a", { regex: "(a+)+b" }), by("b", { exact: "jason" }), by("c", { regex: "(?i)jason" })];
  expect(featureWarnings(puts, [able, ...lacking])).toEqual([
    "Route/default/a, Route/default/c need policy:regex-re2 (a pattern that is not proven to be linear runs only on re2js), " +
      "which these members lack: p-1 of default/productpage (tulle/0.1.0), p-2 of default/productpage (tulle/0.1.0); " +
      'each refuses the revision when it calls the service: install the package "re2js" beside tulle there',
  ]);
});

test.each<[string, Policy]>([
  ["an external service", externalService("payments", "api.example")],
  ["a service with TLS to the outside", { kind: "Service", name: "payments", tls: {} }],
  ["a service that may ask DNS", { kind: "Service", name: "payments", fallback: "dns" }],
])("tells of %s which members do not know such a thing, and what they do", (_, policy) => {
  const [warning, ...more] = featureWarnings([policy], [member("new", ["policy:external-service"]), ...lacking]);
  expect(warning).toContain("payments needs policy:external-service");
  expect(warning).toContain("which these members lack: p-1 of default/productpage (tulle/0.1.0), p-2");
  expect(warning).toContain("each goes on as if the hosts were not named");
  expect(more).toEqual([]);
});

test.each<[string, string, string, Policy]>([
  [
    "locality",
    "policy:locality",
    "each refuses the revision",
    { kind: "Service", name: "payments", locality: { mode: "failover" } },
  ],
  [
    "tokens of end users",
    "policy:jwt",
    "each refuses the revision",
    { kind: "Authentication", name: "payments", jwt: [{ issuer: "https://issuer.test" }] },
  ],
  [
    "health checks",
    "policy:health-check",
    "each refuses the revision",
    { kind: "Service", name: "payments", healthCheck: { tcp: {} } },
  ],
  [
    "several ports",
    "policy:service-overrides",
    "each refuses the revision",
    { kind: "Service", name: "payments", ports: [8080] },
  ],
  [
    "sessions with endpoints",
    "policy:endpoint-session",
    "each keeps them with their destination",
    {
      kind: "Route",
      name: "payments",
      services: ["payments"],
      rules: [{ sessionAffinity: { cookie: {}, endpoint: {} } }],
    },
  ],
])("tells of %s which members do not know them, and is silent where all do", (_, feature, effect, policy) => {
  const [warning, ...more] = featureWarnings([policy], [member("new", [feature]), ...lacking]);
  expect(warning).toContain(`payments needs ${feature}`);
  expect(warning).toContain(effect);
  expect(more).toEqual([]);
  expect(featureWarnings([policy], [member("new", [feature])])).toEqual([]);
});

test("is silent for a service whose health checks are turned off", () => {
  expect(featureWarnings([{ kind: "Service", name: "payments", healthCheck: false }], lacking)).toEqual([]);
});

test.each<[string, Policy]>([
  ["a service in HTTP/2", { kind: "Service", name: "ratings", protocol: "http2" }],
  ["a service in gRPC", { kind: "Service", name: "ratings", protocol: "grpc" }],
  ["a bound on streams", { kind: "Service", name: "ratings", connectionPool: { maxConcurrentStreams: 10 } }],
])("tells of %s which members speak HTTP/1.1 alone", (_, policy) => {
  const [warning, ...more] = featureWarnings([policy], [member("new", ["policy:http2"]), ...lacking]);
  expect(warning).toContain("ratings needs policy:http2");
  expect(warning).toContain("each refuses a revision that brings it the service");
  expect(more).toEqual([]);
});

test("names twenty of many", () => {
  const many = Array.from({ length: 23 }, (_, n) => member(`p-${n}`, []));
  const [warning = ""] = featureWarnings([by("a", { regex: "(a+)+b" })], many);
  expect(warning.match(/p-\d+ of/g)).toHaveLength(20);
  expect(warning).toContain("(tulle/0.1.0), and 3 more;");
});
