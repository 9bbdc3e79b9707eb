import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { describeProblem } from "./policy-problem.ts";
import { jsonSchemaDrafts, parsePolicies, policyJsonSchema, policySchemas } from "./schema.ts";

/** The problems as lines, for tables. */
const problemsOf = (...values: readonly unknown[]): readonly string[] =>
  parsePolicies(values).problems.map(describeProblem);

test("right policies come back as they were written, with their origin", () => {
  const value = {
    kind: "Route",
    name: "reviews",
    services: ["reviews"],
    rules: [
      { match: [{ headers: { "end-user": { exact: "jason" } } }], split: [{ subset: "v2" }] },
      {
        split: [
          { subset: "v1", weight: 80 },
          { subset: "v2", weight: 20 },
        ],
        retry: false,
        timeout: "2s",
      },
    ],
  };
  const origin = { file: "a.yaml", line: 3 };
  expect(parsePolicies([value])).toEqual({ policies: [value], problems: [] });
  expect(parsePolicies([value], () => origin).policies).toEqual([{ ...value, origin }]);
  expect(parsePolicies([{ ...value, origin }]).policies).toEqual([{ ...value, origin }]);
});

test("what is right is read although something else is wrong", () => {
  const { policies, problems } = parsePolicies([{ kind: "Service", name: "a" }, { kind: "Service" }]);
  expect(policies.map(({ name }) => name)).toEqual(["a"]);
  expect(problems).toEqual([{ path: "name", message: "is missing", index: 1 }]);
});

test.each<[string, unknown, readonly string[]]>([
  ["text", "kind: Service", ["a policy is an object"]],
  ["nothing", null, ["a policy is an object"]],
  ["list", [], ["a policy is an object"]],
  ["no kind", {}, ["kind: is missing; write one of Mesh, Service, ExternalService, Route, Access, Authentication"]],
  [
    "other case",
    { kind: "service" },
    [
      'kind: unknown kind "service"; write one of Mesh, Service, ExternalService, Route, Access, Authentication; did you mean "Service"?',
    ],
  ],
  [
    "prototype's name",
    { kind: "toString" },
    ['kind: unknown kind "toString"; write one of Mesh, Service, ExternalService, Route, Access, Authentication'],
  ],
  [
    "Kubernetes",
    { apiVersion: "networking.istio.io/v1", kind: "VirtualService", metadata: {} },
    [
      "apiVersion: this is a document of Kubernetes, not one of the kinds Mesh, Service, ExternalService, Route, Access, Authentication",
    ],
  ],
  [
    "unknown fields",
    { kind: "Service", name: "a", prt: 80, connectionPool: { MaxRequests: 3 }, zzzzzz: 1 },
    [
      'Service/default/a connectionPool.MaxRequests: unknown field "MaxRequests"; did you mean "maxRequests"?',
      'Service/default/a prt: unknown field "prt"; did you mean "port"?',
      'Service/default/a zzzzzz: unknown field "zzzzzz"',
    ],
  ],
  [
    "wrong types",
    {
      kind: "Service",
      name: "a",
      port: "80",
      hosts: "a.example",
      subsets: [],
      circuitBreaker: true,
      retryBudget: null,
    },
    [
      'Service/default/a hosts: expected a list, got "a.example"',
      'Service/default/a port: expected a number, got "80"',
      "Service/default/a subsets: expected an object, got a list",
      "Service/default/a circuitBreaker: expected false or an object, got true",
      "Service/default/a retryBudget: expected an object, got nothing",
    ],
  ],
  [
    "wrong choices",
    { kind: "Mesh", name: "mesh", outbound: "allow_any", mtls: 1 },
    [
      'Mesh/default/mesh outbound: expected "allow-any", "registry-only"; got "allow_any"; did you mean "allow-any"?',
      'Mesh/default/mesh mtls: expected "strict", "permissive", "disable"; got 1',
    ],
  ],
  [
    "choices that are not supported yet are not offered",
    { kind: "Service", name: "a", mode: "enforced", balancer: { algorithm: "maglv" } },
    [
      'Service/default/a mode: expected "enforce"; got "enforced"; did you mean "enforce"?',
      'Service/default/a balancer.algorithm: expected "peak-ewma", "round-robin", "least-request", "random", "ring-hash", "maglev", "custom", "weighted-round-robin", "prequal"; got "maglv"; did you mean "maglev"?',
    ],
  ],
  [
    "wrong inside of something that may be false",
    { kind: "Service", name: "a", circuitBreaker: { windw: "1s", openFor: 5 } },
    [
      'Service/default/a circuitBreaker.openFor: expected a duration such as "250ms" or "1m30s", got 5',
      'Service/default/a circuitBreaker.windw: unknown field "windw"; did you mean "window"?',
    ],
  ],
  [
    "ranges, together with what is not supported yet",
    { kind: "Service", name: "a", port: 0, zone: 1, concurrencyLimit: {}, connectionPool: { keepAlive: "4" } },
    [
      "Service/default/a port: 0 is not a whole number from 1 to 65535",
      'Service/default/a connectionPool.keepAlive: "4" is not a duration: write a number and a unit (ms, s, m, h), such as "250ms" or "1m30s"',
      'Service/default/a zone: unknown field "zone"',
      'Service/default/a concurrencyLimit: "concurrencyLimit" is not supported yet',
    ],
  ],
  [
    "comparisons",
    {
      kind: "Route",
      name: "r",
      services: ["a"],
      rules: [
        {
          match: [
            { path: { exact: "/a", prefix: "/b" }, headers: { x: {} }, query: { y: { regex: "a", linear: true } } },
          ],
        },
      ],
    },
    [
      "Route/default/r rules[0].match[0].path: exact and prefix are set: set exactly one",
      "Route/default/r rules[0].match[0].headers.x: nothing to compare with: set exactly one of exact, prefix, suffix, regex, present",
      'Route/default/r rules[0].match[0].query.y.linear: unknown field "linear"',
    ],
  ],
  [
    "missing",
    { kind: "Route", name: "r" },
    ["Route/default/r services: is missing", "Route/default/r rules: is missing"],
  ],
  [
    "empty lists",
    { kind: "Route", name: "r", services: [], rules: [] },
    [
      "Route/default/r services: the list is empty: name something, or leave the field out",
      "Route/default/r rules: the list is empty: name something, or leave the field out",
    ],
  ],
  [
    "values that only the check knows",
    { kind: "Access", name: "a", action: "deny", rules: [] },
    ["Access/default/a rules: a deny without rules denies nothing: write an empty rule ({}) to deny everything"],
  ],
  [
    "long values are cut in messages",
    { kind: "Mesh", name: "mesh", mtls: "x".repeat(100) },
    [`Mesh/default/mesh mtls: expected "strict", "permissive", "disable"; got "${"x".repeat(59)}…`],
  ],
])("%s", (_, value, expected) => {
  expect(problemsOf(value)).toEqual(expected);
});

test.each(jsonSchemaDrafts)(
  "the JSON Schema %s in the package is that of the zod schema and holds every kind",
  (draft) => {
    const file = new URL(`../policies.${draft}.json`, import.meta.url);
    const written: unknown = JSON.parse(readFileSync(file, "utf8"));
    // Stale? Run packages/policy/scripts/generate-json-schema.ts.
    expect(written).toEqual(policyJsonSchema(draft));
    expect(written).toHaveProperty("$schema", expect.stringContaining(draft));
    const { anyOf } = written as {
      anyOf: { properties: { kind: { const: string } }; additionalProperties: boolean }[];
    };
    expect(anyOf.map(({ properties }) => properties.kind.const)).toEqual(Object.keys(policySchemas));
    expect(anyOf.every(({ additionalProperties }) => additionalProperties === false)).toBe(true);
  },
);

test("whatever the values are, nothing is thrown and nothing wrong is taken", () => {
  const field = fc.constantFrom(
    "rules",
    "services",
    "selector",
    "subsets",
    "mtls",
    "balancer",
    "match",
    "path",
    "__proto__",
    "origin",
  );
  const value = fc.anything({ key: field, withNullPrototype: true, maxDepth: 4 });
  const policy = fc
    .tuple(fc.constantFrom(...Object.keys(policySchemas)), fc.dictionary(field, value))
    .map(([kind, rest]) => ({ ...rest, kind, name: "a" }));
  fc.assert(
    fc.property(fc.oneof(value, policy), (written) => {
      const { policies, problems } = parsePolicies([written]);
      expect(policies.length === 1).toBe(problems.length === 0);
      for (const problem of problems) expect(describeProblem(problem)).not.toContain("[object");
    }),
    { numRuns: 500 },
  );
});
