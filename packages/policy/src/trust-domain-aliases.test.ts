import { describe, expect, test } from "vitest";
import { compileAccess } from "./authorization.ts";
import { checkPolicy } from "./check-policy.ts";
import { principalsMeant } from "./trust-domain-aliases.ts";

describe("a principal of a policy", () => {
  test.each([
    ["prod/ns/a/sa/b", ["prod/ns/a/sa/b", "old/ns/a/sa/b", "older/ns/a/sa/b"]],
    ["old/ns/a/sa/b", ["prod/ns/a/sa/b", "old/ns/a/sa/b", "older/ns/a/sa/b"]],
    ["cluster.local/ns/a/sa/b", ["prod/ns/a/sa/b", "old/ns/a/sa/b", "older/ns/a/sa/b"]],
    ["old/ns/a/*", ["prod/ns/a/*", "old/ns/a/*", "older/ns/a/*"]],
    ["partner/ns/a/sa/b", ["partner/ns/a/sa/b"]],
    ["old.partner/ns/a/sa/b", ["old.partner/ns/a/sa/b"]],
    ["*/ns/a/sa/b", ["*/ns/a/sa/b"]],
    ["*", ["*"]],
    ["old*", ["old*"]],
  ])("%s means %j", (principal, meant) => {
    expect(principalsMeant(principal, "prod", ["old", "older"])).toEqual(meant);
  });

  test("of the same name as another mesh's default means our own domain and not theirs", () => {
    expect(principalsMeant("cluster.local/ns/a/sa/b", "prod", [])).toEqual(["prod/ns/a/sa/b"]);
  });
});

describe("access by principal in a mesh with aliases", () => {
  const question = (principal: string) => ({ principal, namespace: "a", method: "GET", path: "/" });
  const decide = (from: object, action: "allow" | "deny") =>
    compileAccess([{ kind: "Access", name: "a", action, rules: [{ from: [from] }] }], {
      trustDomain: "prod",
      aliases: ["old"],
    }).decide;

  test("an allow by one name lets in callers of every name, and nobody else", () => {
    const allows = decide({ principals: ["prod/ns/a/sa/b"] }, "allow");
    expect(allows(question("prod/ns/a/sa/b")).allowed).toBe(true);
    expect(allows(question("old/ns/a/sa/b")).allowed).toBe(true);
    expect(allows(question("partner/ns/a/sa/b")).allowed).toBe(false);
    expect(allows(question("old/ns/a/sa/c")).allowed).toBe(false);
  });

  test("a deny of all but one name lets that workload in under every name", () => {
    const denies = decide({ notPrincipals: ["old/ns/a/sa/b"] }, "deny");
    expect(denies(question("prod/ns/a/sa/b")).allowed).toBe(true);
    expect(denies(question("partner/ns/a/sa/b")).allowed).toBe(false);
  });
});

test.each(["Old", "a b", "", "spiffe://old"])("the alias %j is refused", (alias) => {
  expect(checkPolicy({ kind: "Mesh", name: "mesh", trustDomainAliases: [alias] })).toEqual([
    expect.objectContaining({
      path: "trustDomainAliases[0]",
      message: expect.stringContaining("is not a trust domain"),
    }),
  ]);
});
