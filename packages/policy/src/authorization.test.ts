import { expect, test } from "vitest";
import type { AccessPolicy } from "./access-policy.ts";
import type { AccessQuestion } from "./access-question.ts";
import { ALLOWED_BY_DEFAULT, compileAccess } from "./authorization.ts";

const page: AccessQuestion = {
  principal: "cluster.local/ns/default/sa/productpage",
  namespace: "default",
  method: "GET",
  path: "/reviews/7",
};
const stranger: AccessQuestion = { method: "GET", path: "/reviews/7" };

const access = (rest: Omit<AccessPolicy, "kind" | "name">, name = "a"): AccessPolicy => ({
  kind: "Access",
  name,
  ...rest,
});
const decided = (policies: readonly AccessPolicy[], trustDomain = "cluster.local") =>
  compileAccess(policies, { trustDomain }).decide;
const allows = (policies: readonly AccessPolicy[], question: AccessQuestion): boolean =>
  decided(policies)(question).allowed;

test("without an allow policy everything is allowed, and the verdict says so", () => {
  expect(decided([])(stranger)).toEqual({ allowed: true, by: ALLOWED_BY_DEFAULT });
  const deny = access({ action: "deny", rules: [{ to: [{ methods: ["DELETE"] }] }] });
  expect(allows([deny], page)).toBe(true);
  expect(allows([deny], { ...page, method: "DELETE" })).toBe(false);
});

test("an allow policy without rules allows nothing, one with an empty rule everything", () => {
  expect(decided([access({})])(page)).toEqual({
    allowed: false,
    considered: ["Access/default/a"],
  });
  expect(allows([access({ rules: [] })], page)).toBe(false);
  expect(allows([access({ rules: [{}] })], stranger)).toBe(true);
});

test("deny goes before allow and names its policy and rule", () => {
  const policies = [
    access({ rules: [{}] }, "all"),
    access(
      { action: "deny", rules: [{ to: [{ methods: ["PUT"] }] }, { name: "no-admin", to: [{ paths: ["/admin*"] }] }] },
      "b",
    ),
  ];
  const decide = decided(policies);
  expect(decide(page)).toEqual({ allowed: true, by: "Access/default/all rule 0" });
  expect(decide({ ...page, path: "/admin/x" })).toEqual({
    allowed: false,
    policy: "Access/default/b",
    rule: "no-admin",
    considered: ["Access/default/all", "Access/default/b"],
  });
});

test("a call that no rule allows hears of every policy, and where each was read from", () => {
  const origin = { file: "access.yaml", line: 12 };
  expect(decided([access({ origin }), access({}, "b")])(page)).toEqual({
    allowed: false,
    considered: ["Access/default/a (access.yaml:12)", "Access/default/b"],
  });
});

test("a refusal says where its policy was read from", () => {
  const origin = { file: "access.yaml", line: 7 };
  const decide = decided([access({ action: "deny", rules: [{}], origin })]);
  expect(decide(page)).toMatchObject({ policy: "Access/default/a", rule: "0", origin });
});

test("any allow policy may allow", () => {
  const policies = [
    access({ rules: [{ from: [{ namespaces: ["other"] }] }] }, "a"),
    access({ rules: [{ to: [{ paths: ["/x"] }] }, { to: [{ methods: ["GET"] }] }] }, "b"),
  ];
  expect(decided(policies)(page)).toEqual({ allowed: true, by: "Access/default/b rule 1" });
});

test.each<[Record<string, readonly string[]>, AccessQuestion, boolean]>([
  [{ principals: ["cluster.local/ns/default/sa/productpage"] }, page, true],
  [{ principals: ["cluster.local/ns/default/sa/other"] }, page, false],
  [{ principals: ["cluster.local/ns/default/sa/productpage"] }, stranger, false],
  [{ principals: ["*"] }, page, true],
  [{ principals: ["*"] }, stranger, false],
  [{ principals: ["*/sa/productpage"] }, page, true],
  [{ principals: ["cluster.local/ns/default/*"] }, page, true],
  [{ principals: ["spiffe://cluster.local/ns/default/sa/productpage"] }, page, false],
  [{ notPrincipals: ["*"] }, page, false],
  [{ notPrincipals: ["*"] }, stranger, true],
  [{ notPrincipals: ["cluster.local/ns/default/sa/other"] }, page, true],
  [{ namespaces: ["default"] }, page, true],
  [{ namespaces: ["def*"] }, page, true],
  [{ namespaces: ["other", "default"] }, page, true],
  [{ notNamespaces: ["default"] }, page, false],
  [{ notNamespaces: ["default"] }, stranger, true],
  [{ principals: ["*"], namespaces: ["other"] }, page, false],
  [{ principals: ["*"], notNamespaces: ["other"] }, page, true],
])("from %j: %j is %s", (source, question, expected) => {
  expect(allows([access({ rules: [{ from: [source] }] })], question)).toBe(expected);
});

test.each<[Record<string, readonly string[]>, boolean]>([
  [{ methods: ["GET"] }, true],
  [{ methods: ["POST", "GET"] }, true],
  [{ methods: ["POST"] }, false],
  [{ methods: ["*"] }, true],
  [{ notMethods: ["GET"] }, false],
  [{ notMethods: ["POST"] }, true],
  [{ paths: ["/reviews/7"] }, true],
  [{ paths: ["/reviews/"] }, false],
  [{ paths: ["/reviews/*"] }, true],
  [{ paths: ["*/7"] }, true],
  [{ paths: ["/rev*/7"] }, false],
  [{ notPaths: ["/reviews/*"] }, false],
  [{ methods: ["GET"], paths: ["/other"] }, false],
  [{ methods: ["GET"], notPaths: ["/other"] }, true],
])("to %j: %s", (operation, expected) => {
  expect(allows([access({ rules: [{ to: [operation] }] })], page)).toBe(expected);
});

test("a rule is any from with any to", () => {
  const policies = [
    access({
      rules: [{ from: [{ namespaces: ["x"] }, { principals: ["*"] }], to: [{ paths: ["/x"] }, { methods: ["GET"] }] }],
    }),
  ];
  expect(allows(policies, page)).toBe(true);
  expect(allows(policies, stranger)).toBe(false);
  expect(allows(policies, { ...page, method: "POST" })).toBe(false);
});

test("cluster.local in a principal means the mesh's own trust domain", () => {
  const policies = [access({ rules: [{ from: [{ principals: ["cluster.local/ns/default/sa/productpage"] }] }] })];
  const decide = decided(policies, "prod.example");
  expect(decide({ ...page, principal: "prod.example/ns/default/sa/productpage" }).allowed).toBe(true);
  expect(decide(page).allowed).toBe(false);
});

test("what this version does not know makes policies stricter", () => {
  // What a later version may send.
  const future = { moonPhases: ["full"] } as object;
  expect(allows([access({ rules: [{ from: [future] }] })], page)).toBe(false);
  expect(allows([access({ action: "deny", rules: [{ from: [future] }] })], page)).toBe(false);
  expect(allows([access({ rules: [{ when: [{ key: "x", values: ["a"] }] }] })], page)).toBe(false);
  expect(allows([access({ rules: [{ when: [{ key: "x", notValues: ["a"] }] }] })], page)).toBe(false);
  expect(allows([access({ action: "deny", rules: [{ when: [{ key: "x", notValues: ["a"] }] }] })], page)).toBe(false);
  expect(allows([access({ rules: [future] })], page)).toBe(false);
  expect(allows([access({ action: "deny", rules: [{ to: [future] }] })], page)).toBe(false);
  expect(allows([access({ action: "deny", rules: [{ from: [{ addresses: ["nonsense"] }] }] })], page)).toBe(false);
  expect(allows([access({ action: "deny", rules: [{ to: [{ paths: ["/x/{*}y"] }] }] })], page)).toBe(false);
  const empty = { key: "request.headers[x-role]", values: ["", "guest"] };
  expect(allows([access({ action: "deny", rules: [{ when: [empty] }] })], page)).toBe(false);
  expect(allows([access({ rules: [{ when: [empty] }] })], { ...page, header: () => "guest" })).toBe(false);
  expect(allows([access({ action: "redirect" as "deny", rules: [] })], page)).toBe(false);
  expect(allows([access({ action: "audit", rules: [{}] })], page)).toBe(true);
});
