import fc from "fast-check";
import { expect, test } from "vitest";
import { referenceVerdict } from "../test/reference-access.ts";
import type { AccessCondition, AccessOperation, AccessPolicy, AccessRule, AccessSource } from "./access-policy.ts";
import type { AccessQuestion } from "./access-question.ts";
import { compileAccess } from "./authorization.ts";
import { checkPolicy } from "./check-policy.ts";
import type { VerifiedToken } from "./verified-token.ts";

// Values are few and alike, so that rules and calls meet; each list of a rule is drawn from what calls show and near misses.

const domains = ["td", "old", "cluster.local", "partner"] as const;
const namespaces = ["ns1", "ns2", "default"] as const;
const accounts = ["a", "b", "ab"] as const;
const issuers = ["https://i/x", "iss", "ss"] as const;
const subjects = ["sub", "s", "ub"] as const;
const hosts = ["a.com", "A.com:80", "b.a.com", "a"] as const;
const methods = ["GET", "POST", "PUT"] as const;
const paths = ["/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/a/x=y/c", "/b", "/a/b/d/c", "/store/cart"] as const;
const v4 = ["10.0.0.1", "10.0.1.7", "11.0.0.1", "::ffff:10.0.0.1", "2001:db8::1", "fe80::1:2", "::1"] as const;
const ranges = [
  "10.0.0.1",
  "10.0.0.0/8",
  "10.0.0.0/24",
  "0.0.0.0/0",
  "::/0",
  "2001:db8::/32",
  "::ffff:10.0.0.0/104",
  "fe80::/10",
];
const words = ["x", "xy", "y", "x,y"] as const;
const headers = ["x-a", "x-b", "host"] as const;

const principals = domains.flatMap((domain) =>
  namespaces.flatMap((ns) => accounts.map((sa) => `${domain}/ns/${ns}/sa/${sa}`)),
);

const token: fc.Arbitrary<VerifiedToken> = fc
  .record({
    issuer: fc.constantFrom(...issuers, ""),
    subject: fc.constantFrom(...subjects, ""),
    audiences: fc.array(fc.constantFrom(...words), { maxLength: 2 }),
    presenter: fc.option(fc.constantFrom(...words), { nil: undefined }),
    claims: fc.dictionary(
      fc.constantFrom("g", "n", "toString"),
      fc.oneof(
        fc.constantFrom<unknown>(...words, 1, true, null),
        fc.array(fc.constantFrom<unknown>(...words, 1), { maxLength: 2 }),
        fc.dictionary(fc.constantFrom("k", "g"), fc.constantFrom<unknown>(...words, ["x"], 2)),
      ),
    ),
  })
  .map((each) => ({ ...each, claims: { ...each.claims } }));

const identity: fc.Arbitrary<Partial<AccessQuestion>> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .record({
        trustDomain: fc.constantFrom(...domains),
        namespace: fc.constantFrom(...namespaces),
        serviceAccount: fc.constantFrom(...accounts),
      })
      .map((each) => ({ ...each, principal: `${each.trustDomain}/ns/${each.namespace}/sa/${each.serviceAccount}` })),
  },
  { weight: 1, arbitrary: fc.constant({}) },
);

const question: fc.Arbitrary<AccessQuestion> = fc
  .tuple(
    identity,
    fc.record(
      {
        token,
        address: fc.constantFrom(...v4),
        remoteAddress: fc.constantFrom(...v4),
        destinationAddress: fc.constantFrom(...v4),
        port: fc.constantFrom(80, 8080),
        sni: fc.constantFrom(...words),
        host: fc.constantFrom(...hosts, ""),
      },
      { requiredKeys: [] },
    ),
    fc.record({ method: fc.constantFrom(...methods), path: fc.constantFrom(...paths) }),
    fc.dictionary(fc.constantFrom(...headers), fc.constantFrom(...words, "")),
  )
  .map(([who, around, what, given]) => ({
    ...who,
    ...around,
    ...what,
    header: (name: string) => (Object.hasOwn(given, name) ? given[name] : undefined),
  }));

/** Values, and what stars make of them. */
const wild = (values: readonly string[]): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...values) },
    { weight: 1, arbitrary: fc.constant("*") },
    {
      weight: 1,
      arbitrary: fc
        .tuple(fc.constantFrom(...values), fc.nat(3))
        .map(([value, cut]) => `*${value.slice(Math.min(cut, value.length - 1))}`),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(fc.constantFrom(...values), fc.nat(3))
        .map(([value, cut]) => `${value.slice(0, Math.max(1, value.length - cut))}*`),
    },
  );

const list = <T>(item: fc.Arbitrary<T>): fc.Arbitrary<readonly T[]> => fc.array(item, { minLength: 1, maxLength: 2 });

const template = fc.constantFrom(
  "/a/{*}",
  "/a/{**}",
  "/{*}/b",
  "/a/{*}/c",
  "/a/{**}/c",
  "/{**}",
  "/a/{*}/{**}",
  "/{*}/",
  "/store/{**}/cart",
);
const account = fc.oneof(
  fc.constantFrom(...accounts),
  fc.tuple(fc.constantFrom(...namespaces), fc.constantFrom(...accounts)).map((each) => each.join("/")),
);
const user = fc.oneof(
  { weight: 1, arbitrary: fc.constantFrom("*/sub", "iss/*", "*ss/s") },
  {
    weight: 5,
    arbitrary: wild([
      ...issuers.flatMap((issuer) => subjects.map((subject) => `${issuer}/${subject}`)),
      ...issuers,
      ...subjects,
    ]),
  },
);

/** Some of the fields, each in its positive or its negative form or in both. */
const some = <T extends object>(fields: Readonly<Record<string, fc.Arbitrary<unknown>>>): fc.Arbitrary<T> =>
  fc
    .subarray(Object.keys(fields), { minLength: 1, maxLength: 2 })
    .chain((names) =>
      fc.record(Object.fromEntries(names.map((name) => [name, list(fields[name] as fc.Arbitrary<unknown>)]))),
    )
    // Names and values come out of the record above, which holds those of T.
    .map((made) => made as T);

const withNots = (
  fields: Readonly<Record<string, fc.Arbitrary<unknown>>>,
): Readonly<Record<string, fc.Arbitrary<unknown>>> => ({
  ...fields,
  ...Object.fromEntries(
    Object.entries(fields).map(([name, each]) => [`not${name.charAt(0).toUpperCase()}${name.slice(1)}`, each]),
  ),
});

const source: fc.Arbitrary<AccessSource> = fc.oneof(
  {
    weight: 5,
    arbitrary: some<AccessSource>(
      withNots({
        principals: wild(principals),
        requestPrincipals: user,
        namespaces: wild(namespaces),
        trustDomains: wild(domains),
        addresses: fc.constantFrom(...ranges),
        remoteAddresses: fc.constantFrom(...ranges),
      }),
    ),
  },
  {
    weight: 1,
    arbitrary: some<AccessSource>(withNots({ serviceAccounts: account, addresses: fc.constantFrom(...ranges) })),
  },
);

const operation = some<AccessOperation>(
  withNots({
    hosts: wild(hosts),
    ports: fc.constantFrom(80, 8080),
    methods: wild(methods),
    paths: fc.oneof(wild(paths), template),
  }),
);

const valuesOf: Readonly<Record<string, fc.Arbitrary<string>>> = {
  "request.headers[x-a]": wild(words),
  "request.headers[X-B]": wild(words),
  "source.ip": fc.constantFrom(...ranges),
  "remote.ip": fc.constantFrom(...ranges),
  "destination.ip": fc.constantFrom(...ranges),
  "destination.port": fc.constantFrom("80", "8080"),
  "source.namespace": wild(namespaces),
  "source.principal": wild(principals),
  "source.serviceAccount": account,
  "request.auth.principal": user,
  "request.auth.audiences": wild(words),
  "request.auth.presenter": wild(words),
  "request.auth.claims[g]": wild(words),
  "request.auth.claims[n][k]": wild(words),
  "request.auth.claims[toString]": wild(words),
  "connection.sni": wild(words),
};

const condition: fc.Arbitrary<AccessCondition> = fc.constantFrom(...Object.keys(valuesOf)).chain((key) => {
  const values = list(valuesOf[key] as fc.Arbitrary<string>);
  return fc.oneof(
    fc.record({ key: fc.constant(key), values }),
    fc.record({ key: fc.constant(key), notValues: values }),
    fc.record({ key: fc.constant(key), values, notValues: values }),
  );
});

const rule: fc.Arbitrary<AccessRule> = fc.record(
  { from: list(source), to: list(operation), when: list(condition) },
  { requiredKeys: [] },
);

const policy = (name: string): fc.Arbitrary<AccessPolicy> =>
  fc
    .record({
      action: fc.constantFrom("allow", "allow", "deny", "deny", "audit", "custom"),
      namespace: fc.constantFrom(...namespaces),
      rules: fc.array(rule, { minLength: 1, maxLength: 3 }),
      authorizer: fc.constantFrom("opa", "other"),
    })
    .map(
      ({ action, authorizer, ...rest }): AccessPolicy => ({
        kind: "Access",
        name,
        action,
        ...rest,
        ...(action === "custom" ? { authorizer } : {}),
      }),
    );

const policies = fc
  .tuple(policy("a"), policy("b"), fc.option(policy("c"), { nil: undefined }))
  .map((each) => each.filter((one) => one !== undefined));

/** Each run decides several calls, so that compiling and drawing do not take all the time. */
const RUNS = 20_000;
const CALLS = 5;

test("100,000 decisions are those of a slow evaluator that is obviously right", () => {
  const met = { allowed: 0, denied: 0, asked: 0, audited: 0, fields: new Set<string>() };
  fc.assert(
    fc.property(policies, fc.array(question, { minLength: CALLS, maxLength: CALLS }), (drawn, questions) => {
      const { decide, asks, audits } = compileAccess(drawn, { trustDomain: "td", aliases: ["old"] });
      for (const asked of questions) {
        const expected = referenceVerdict(drawn, asked, ["td", "old"]);
        const verdict = decide(asked);
        expect(verdict.allowed).toBe(expected.allowed);
        expect(new Set((asks?.(asked) ?? []).map((each) => each.authorizer))).toEqual(expected.asks);
        expect(new Set((audits?.(asked) ?? []).map((each) => each.policy.split("/")[2]))).toEqual(expected.audits);
        if (verdict.allowed) met.allowed++;
        else met.denied++;
        if (expected.asks.size > 0) met.asked++;
        if (expected.audits.size > 0) met.audited++;
      }
      for (const { rules = [] } of drawn) {
        for (const { from = [], to = [], when = [] } of rules) {
          for (const item of [...from, ...to]) for (const name of Object.keys(item)) met.fields.add(name);
          for (const { key } of when) met.fields.add(key);
        }
      }
    }),
    { numRuns: RUNS },
  );
  // A test that meets one side only would prove nothing.
  const total = RUNS * CALLS;
  for (const count of [met.allowed, met.denied, met.asked, met.audited]) expect(count).toBeGreaterThan(total / 50);
  expect(met.fields.size).toBe(14 + 8 + Object.keys(valuesOf).length);
}, 180_000);

test("policies in dry-run tell what would be otherwise if they were enforced, and change nothing", () => {
  const outcomes = new Set<string>();
  const modes = fc.array(fc.constantFrom("enforce", "dry-run"), { minLength: 3, maxLength: 3 });
  fc.assert(
    fc.property(
      policies,
      modes,
      fc.array(question, { minLength: CALLS, maxLength: CALLS }),
      (drawn, [...mode], questions) => {
        const given = drawn.map((each, at): AccessPolicy => ({ ...each, mode: mode[at] ?? "enforce" }));
        const inForce = drawn.filter((_, at) => mode[at] === "enforce");
        const { decide, asks, audits, dryRun } = compileAccess(given, { trustDomain: "td", aliases: ["old"] });
        for (const asked of questions) {
          const now = referenceVerdict(inForce, asked, ["td", "old"]);
          const then = referenceVerdict(drawn, asked, ["td", "old"]);
          const verdict = decide(asked);
          expect(verdict.allowed).toBe(now.allowed);
          expect(new Set((asks?.(asked) ?? []).map((each) => each.authorizer))).toEqual(now.asks);
          expect((audits?.(asked) ?? []).length).toBe(now.audits.size);
          const found = (dryRun?.(asked, verdict) ?? []).map(({ outcome }) => outcome);
          for (const outcome of found) outcomes.add(outcome);
          const changes = found.filter((outcome) => outcome === "deny" || outcome === "allow");
          expect(changes).toEqual(now.allowed === then.allowed ? [] : [then.allowed ? "allow" : "deny"]);
          expect(found.filter((outcome) => outcome === "audit")).toHaveLength(then.audits.size - now.audits.size);
        }
      },
    ),
    { numRuns: 2_000 },
  );
  expect([...outcomes].sort()).toEqual(["allow", "ask", "audit", "deny"]);
}, 180_000);

test("what is drawn passes the checks of apply", () => {
  fc.assert(
    fc.property(policies, (drawn) => {
      expect(
        drawn.flatMap(checkPolicy).filter(({ message }) => !message.includes("serviceAccounts cannot stand")),
      ).toEqual([]);
    }),
    { numRuns: 200 },
  );
});
