import { type AccessPolicy, type AccessQuestion, compileAccess } from "@tulle/policy";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readDocuments } from "../src/read-documents.ts";
import { translate } from "../src/translate.ts";

// Istio's words of an AuthorizationPolicy, taken as plainly as they are written, beside what the translated policies decide.

type Lists = Readonly<Record<string, readonly string[] | undefined>>;

interface WrittenRule {
  readonly from?: readonly { readonly source: Lists }[];
  readonly to?: readonly { readonly operation: Lists }[];
  readonly when?: readonly {
    readonly key: string;
    readonly values?: readonly string[];
    readonly notValues?: readonly string[];
  }[];
}

interface WrittenPolicy {
  readonly action: "ALLOW" | "DENY";
  readonly rules?: readonly WrittenRule[];
}

const accounts = ["ns1/sa/a", "ns1/sa/b", "ns2/sa/a"].map((each) => `cluster.local/ns/${each}`);
const ENVOY = "experimental.envoy.filters.a.b[c]";

const call: fc.Arbitrary<AccessQuestion> = fc
  .record({
    principal: fc.option(fc.constantFrom(...accounts), { nil: undefined }),
    method: fc.constantFrom("GET", "POST"),
    path: fc.constantFrom("/", "/a", "/a/b", "/b"),
    host: fc.constantFrom("a.com", "b.a.com", "A.com"),
    port: fc.constantFrom(80, 8080),
    address: fc.constantFrom("10.0.0.1", "10.1.0.1"),
    header: fc.option(fc.constantFrom("x", "xy"), { nil: undefined }),
  })
  .map(({ header, ...each }) => {
    const [, , namespace, , serviceAccount] = each.principal?.split("/") ?? [];
    return {
      ...each,
      trustDomain: each.principal === undefined ? undefined : "cluster.local",
      namespace,
      serviceAccount,
      header: (name) => (name === "x-a" ? header : undefined),
    };
  });

const some = (values: readonly string[]): fc.Arbitrary<readonly string[]> =>
  fc.array(fc.constantFrom(...values), { maxLength: 2 });

/** Fields and their negations, each now and then there, also as an empty list. */
const lists = (fields: Readonly<Record<string, readonly string[]>>): fc.Arbitrary<Lists> =>
  fc.record(
    Object.fromEntries(
      Object.entries(fields).flatMap(([name, values]) => [
        [name, some(values)] as const,
        [`not${name.charAt(0).toUpperCase()}${name.slice(1)}`, some(values)] as const,
      ]),
    ),
    { requiredKeys: [] },
  );

const source = lists({
  principals: [...accounts, "*", "cluster.local/ns/ns1/*", "*/sa/a"],
  namespaces: ["ns1", "ns*", "*"],
  ipBlocks: ["10.0.0.0/16", "10.0.0.1"],
});
const operation = lists({
  methods: ["GET", "P*", "get", "*"],
  paths: ["/a", "/a*", "*b", "*", "/a/{*}"],
  hosts: ["a.com", "*.com", "a*"],
  ports: ["80", "8080"],
});
const condition = fc.oneof(
  fc.record({ values: some(["x", "x*", "*"]), notValues: some(["x", "*y"]) }).map((each) => ({
    key: "request.headers[x-a]",
    ...each,
  })),
  some(["80", "8080"]).map((values) => ({ key: "destination.port", values })),
  some(["ns1", "*"]).map((notValues) => ({ key: "source.namespace", notValues })),
  fc.constant({ key: ENVOY, values: ["x"] }),
);
const rule: fc.Arbitrary<WrittenRule> = fc.record(
  {
    from: fc.array(
      source.map((each) => ({ source: each })),
      { minLength: 1, maxLength: 2 },
    ),
    to: fc.array(
      operation.map((each) => ({ operation: each })),
      { minLength: 1, maxLength: 2 },
    ),
    when: fc.array(condition, { maxLength: 2 }),
  },
  { requiredKeys: [] },
);
const policy: fc.Arbitrary<WrittenPolicy> = fc
  .record({ action: fc.constantFrom("ALLOW", "DENY"), rules: fc.array(rule, { maxLength: 2 }) })
  .map(({ action, rules }) => (action === "ALLOW" && rules.length === 0 ? { action } : { action, rules }));

const fitsText = (value: string | undefined, pattern: string): boolean => {
  if (value === undefined) return false;
  if (pattern === "*") return true;
  if (pattern.startsWith("*")) return value.endsWith(pattern.slice(1));
  return pattern.endsWith("*") ? value.startsWith(pattern.slice(0, -1)) : value === pattern;
};

/** Whether a value of a field fits a call, in Istio's words. */
const fitsField = (field: string, pattern: string, question: AccessQuestion): boolean => {
  switch (field) {
    case "principals":
      return fitsText(question.principal, pattern);
    case "namespaces":
    case "source.namespace":
      return fitsText(question.namespace, pattern);
    case "ipBlocks":
      return pattern.endsWith("/16") ? question.address?.startsWith("10.0.") === true : question.address === pattern;
    case "methods":
      return fitsText(question.method, pattern);
    case "paths":
      return pattern === "/a/{*}" ? /^\/a\/[^/]+$/.test(question.path) : fitsText(question.path, pattern);
    case "hosts":
      return fitsText(question.host?.toLowerCase(), pattern);
    case "ports":
    case "destination.port":
      return question.port === Number(pattern);
    case "request.headers[x-a]":
      return fitsText(question.header?.("x-a"), pattern);
    default:
      return false;
  }
};

const fitsLists = (written: Lists, question: AccessQuestion): boolean =>
  Object.entries(written).every(([name, values = []]) => {
    if (values.length === 0) return true;
    const field = name.startsWith("not") ? name.charAt(3).toLowerCase() + name.slice(4) : name;
    const fits = values.some((value) => fitsField(field, value, question));
    return name.startsWith("not") ? !fits : fits;
  });

const fitsRule = ({ from, to, when = [] }: WrittenRule, question: AccessQuestion): boolean =>
  (from === undefined || from.some((each) => fitsLists(each.source, question))) &&
  (to === undefined || to.some((each) => fitsLists(each.operation, question))) &&
  when.every(
    ({ key, values = [], notValues = [] }) =>
      (values.length === 0 || values.some((value) => fitsField(key, value, question))) &&
      !notValues.some((value) => fitsField(key, value, question)),
  );

const allowsAsWritten = (policies: readonly WrittenPolicy[], question: AccessQuestion): boolean => {
  const fits = ({ rules = [] }: WrittenPolicy): boolean => rules.some((each) => fitsRule(each, question));
  if (policies.some((each) => each.action === "DENY" && fits(each))) return false;
  const allowing = policies.filter(({ action }) => action === "ALLOW");
  return allowing.length === 0 || allowing.some(fits);
};

test("what translated policies allow Istio allows, and what they refuse it refuses, but for what no call here can have", () => {
  let compared = 0;
  fc.assert(
    fc.property(
      fc.array(policy, { minLength: 1, maxLength: 3 }),
      fc.array(call, { minLength: 4 }),
      (written, calls) => {
        const items = written.map((spec, at) => ({
          apiVersion: "security.istio.io/v1",
          kind: "AuthorizationPolicy",
          metadata: { name: `p${at}` },
          spec,
        }));
        const text = JSON.stringify({ apiVersion: "v1", kind: "List", items });
        const { policies, findings } = translate(readDocuments(text, "a.json", "ns1").documents);
        // Sources and operations without a value are refused, as by Istio.
        if (findings.some(({ level }) => level === "refused")) return;
        const access = policies.filter((each): each is AccessPolicy => each.kind === "Access");
        const { decide } = compileAccess(access, { trustDomain: "cluster.local" });
        const isPlain = !(text.includes('"get"') || text.includes(ENVOY));
        for (const question of calls) {
          const { allowed } = decide(question);
          if (isPlain) expect(allowed).toBe(allowsAsWritten(written, question));
          else if (allowed) expect(allowsAsWritten(written, question)).toBe(true);
          compared++;
        }
      },
    ),
    { numRuns: 500 },
  );
  expect(compared).toBeGreaterThan(1_000);
});
