import { expect, test } from "vitest";
import { checkPolicy } from "./check-policy.ts";
import { effectiveHealthCheck, type HealthCheck } from "./health-check-policy.ts";

const problemsOf = (healthCheck: HealthCheck | false) =>
  checkPolicy({ kind: "Service", name: "reviews", healthCheck }).map(({ path, message }) => `${path}: ${message}`);

test("fills in Envoy's and Envoy Gateway's defaults", () => {
  const of = (healthCheck: HealthCheck | false) =>
    effectiveHealthCheck({ kind: "Service", name: "reviews", healthCheck });
  expect(of({ http: { path: "/healthz" } })).toEqual({
    probe: {
      kind: "http",
      path: "/healthz",
      method: "GET",
      host: "reviews",
      headers: {},
      expectedStatuses: new Set([200]),
      retriableStatuses: new Set(),
      body: undefined,
    },
    intervalMs: 3_000,
    unhealthyIntervalMs: 3_000,
    unhealthyEdgeIntervalMs: 3_000,
    healthyEdgeIntervalMs: 3_000,
    noTrafficIntervalMs: 60_000,
    intervalJitterPercent: 10,
    intervalJitterMs: 0,
    initialJitterMs: 0,
    timeoutMs: 1_000,
    unhealthyThreshold: 3,
    healthyThreshold: 1,
  });
  expect(of({ tcp: {}, interval: "5m" })).toMatchObject({
    probe: { kind: "tcp", send: undefined, receive: [] },
    unhealthyIntervalMs: 300_000,
    noTrafficIntervalMs: 300_000,
  });
  expect(of(false)).toBeUndefined();
});

test("reads bytes as text or hexadecimal digits", () => {
  const policy = effectiveHealthCheck({
    kind: "Service",
    name: "reviews",
    healthCheck: { tcp: { send: { hex: "50494E47" }, receive: [{ text: "PONG" }] } },
  });
  expect(policy?.probe).toEqual({ kind: "tcp", send: Buffer.from("PING"), receive: [Buffer.from("PONG")] });
});

test("accepts what makes sense", () => {
  expect(problemsOf(false)).toEqual([]);
  expect(problemsOf({ tcp: {} })).toEqual([]);
  expect(
    problemsOf({
      http: {
        path: "/up?deep=1",
        method: "HEAD",
        expectedStatuses: ["200-299", 301],
        retriableStatuses: [503],
        body: "ok",
      },
      interval: "500ms",
      timeout: "100ms",
    }),
  ).toEqual([]);
});

test.each<[string, HealthCheck, readonly string[]]>([
  ["no way to ask", {}, ["healthCheck: set exactly one of http, tcp, grpc"]],
  ["two ways", { http: { path: "/" }, tcp: {} }, ["healthCheck: http and tcp are set: set exactly one"]],
  [
    "a request that cannot be sent",
    { http: { path: "up\r\n", method: "CONNECT", host: "a b", headers: { "x y": "z" }, expectedStatuses: [] } },
    [
      'healthCheck.http.path: "up\r\n" is not a path: begin it with "/", and encode spaces and what is not ASCII',
      "healthCheck.http.method: a check cannot CONNECT",
      'healthCheck.http.host: "a b" is not a host: write a name, with a port where one is meant, such as "ratings:9080"',
      'healthCheck.http.headers["x y"]: "x y" is not the name of a header',
      "healthCheck.http.expectedStatuses: the list is empty: name something, or leave the field out",
    ],
  ],
  [
    "statuses that no answer ends with",
    { http: { path: "/", expectedStatuses: [100, "200-600"], retriableStatuses: ["300-200"] } },
    [
      "healthCheck.http.expectedStatuses[0]: 100 is not a whole number from 200 to 599",
      'healthCheck.http.expectedStatuses[1]: "200-600" is not a range of statuses: write it as "500-599", within 200 to 599',
      'healthCheck.http.retriableStatuses[0]: "300-200" is not a range of statuses: write it as "500-599", within 200 to 599',
    ],
  ],
  [
    "too much or nothing to compare",
    { http: { path: "/", body: "é".repeat(513) } },
    ["healthCheck.http.body: it has 1026 bytes, more than 1024"],
  ],
  [
    "bytes that are none",
    { tcp: { send: { hex: "abc" }, receive: [{ text: "" }, {}] } },
    [
      'healthCheck.tcp.send.hex: "abc" is not made of pairs of hexadecimal digits',
      "healthCheck.tcp.receive[0]: nothing is compared: leave it out",
      "healthCheck.tcp.receive[1]: set exactly one of text, hex",
    ],
  ],
  [
    "figures out of range",
    { tcp: {}, interval: "1ms", timeout: "2m", intervalJitterPercent: 101, unhealthyThreshold: 0 },
    [
      'healthCheck.interval: "1ms" is not a duration from "100ms" to "1h"',
      'healthCheck.timeout: "2m" is not a duration from "1ms" to "1m"',
      "healthCheck.intervalJitterPercent: 101 is not a number from 0 to 100",
      "healthCheck.unhealthyThreshold: 0 is not a whole number from 1 to 100",
    ],
  ],
])("refuses %s", (_, healthCheck, expected) => {
  expect(problemsOf(healthCheck)).toEqual(expected);
});
