import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkIssuers, kubernetesSubjects, type OidcSubjectRule } from "./oidc-issuer.ts";
import { compileSubjectRule, isIdentity } from "./subject-rule.ts";

const kubernetes = kubernetesSubjects[0]!;
const github: OidcSubjectRule = {
  subject: "repo:octo/{repo}:ref:refs/heads/main",
  claims: { repository_owner_id: "4711" },
  namespace: "ci",
  serviceAccount: "{repo}",
};
const spire: OidcSubjectRule = {
  subject: "spiffe://example.org/ns/{ns}/sa/{sa}",
  namespace: "{ns}",
  serviceAccount: "{sa}",
};
const google: OidcSubjectRule = {
  subject: "{id}",
  claims: { email: ["ratings@shop.iam.gserviceaccount.com"], email_verified: "true", "google[tags][team]": "shop" },
  namespace: "shop",
  serviceAccount: "ratings",
};

describe("a subject rule", () => {
  test.each<[string, OidcSubjectRule, string, object, object | undefined]>([
    [
      "keeps a Kubernetes service account's names",
      kubernetes,
      "system:serviceaccount:shop:ratings",
      {},
      { namespace: "shop", serviceAccount: "ratings" },
    ],
    ["wants every part", kubernetes, "system:serviceaccount:shop:", {}, undefined],
    ["takes no more parts", kubernetes, "system:serviceaccount:shop:ratings:admin", {}, undefined],
    ["wants the whole subject", kubernetes, "xsystem:serviceaccount:shop:ratings", {}, undefined],
    ["sees no end at a new line", kubernetes, "system:serviceaccount:shop:ratings\n:x", {}, undefined],
    [
      "names by a part and a claim",
      github,
      "repo:octo/web:ref:refs/heads/main",
      { repository_owner_id: 4711 },
      { namespace: "ci", serviceAccount: "web" },
    ],
    ["refuses another branch", github, "repo:octo/web:ref:refs/heads/evil", { repository_owner_id: "4711" }, undefined],
    [
      "lets no part hold a colon or a slash",
      github,
      "repo:octo/web:ref:refs/heads/main:ref:refs/heads/main",
      { repository_owner_id: "4711" },
      undefined,
    ],
    ["refuses without its claim", github, "repo:octo/web:ref:refs/heads/main", {}, undefined],
    [
      "reads a SPIFFE ID",
      spire,
      "spiffe://example.org/ns/shop/sa/ratings",
      {},
      { namespace: "shop", serviceAccount: "ratings" },
    ],
    ["takes no other trust domain", spire, "spiffe://exampleXorg/ns/shop/sa/ratings", {}, undefined],
    [
      "looks into objects and compares booleans as text",
      google,
      "1234",
      {
        email: "ratings@shop.iam.gserviceaccount.com",
        email_verified: true,
        google: { tags: { team: ["x", "shop"] } },
      },
      { namespace: "shop", serviceAccount: "ratings" },
    ],
    [
      "does not take an object's own members for claims",
      { ...google, claims: { "constructor[name]": "Object" } },
      "1234",
      {},
      undefined,
    ],
  ])("%s", (_, rule, subject, claims, mapped) => {
    expect(compileSubjectRule(rule)(subject, { ...claims })).toEqual(mapped);
  });

  test("reads what it printed, for any parts, and no other way", () => {
    const part = fc.stringMatching(/^[^:/]{1,12}$/);
    const compiled = compileSubjectRule(kubernetes);
    fc.assert(
      fc.property(part, part, (namespace, serviceAccount) => {
        const subject = `system:serviceaccount:${namespace}:${serviceAccount}`;
        const mapped = compiled(subject, {});
        return mapped?.namespace === namespace && mapped.serviceAccount === serviceAccount;
      }),
      { numRuns: 100_000 },
    );
  }, 60_000);

  test.each<[Partial<OidcSubjectRule>, string]>([
    [{ subject: "a{x}{y}" }, "the part {x} must be followed by"],
    [{ subject: "{x}-{y}" }, "the part {x} must be followed by"],
    [{ subject: "{x}:{x}" }, "comes twice"],
    [{ subject: "{}" }, '"{}" is no part'],
    [{ subject: "{__proto__}" }, "is no part"],
    [{ subject: "a{b" }, "a brace without its other"],
    [{ subject: "a", namespace: "{x}" }, "uses {x}, which the subject does not have"],
    [{ subject: "{x}", claims: { "a[": "b" } }, "names no claim"],
  ])("%o is refused", (change, message) => {
    expect(() => compileSubjectRule({ subject: "{x}", namespace: "a", serviceAccount: "b", ...change })).toThrow(
      message,
    );
  });

  test.each([
    ["shop", "ratings", true],
    ["shop", "ratings.v1", true],
    ["Shop", "ratings", false],
    ["shop", "..", false],
    ["shop.x", "ratings", false],
    ["shop", "a/sa/b", false],
    ["shop", "a%2fb", false],
    ["shop", "", false],
    ["a".repeat(64), "ratings", false],
  ])("%s and %s make an identity: %s", (namespace, serviceAccount, valid) => {
    expect(isIdentity({ namespace, serviceAccount })).toBe(valid);
  });
});

describe("issuers", () => {
  const good = { issuer: "https://issuer.example", audiences: ["tulle"] };
  test.each<[string, unknown, string]>([
    ["no list", {}, "oidc: Invalid input"],
    ["no audience", [{ ...good, audiences: [] }], "oidc[0].audiences"],
    [
      "plain http beyond this machine",
      [{ ...good, issuer: "http://issuer.example" }],
      "oidc[0].issuer: its keys can be",
    ],
    [
      "a jwksUri over http",
      [{ ...good, jwksUri: "http://issuer.example/keys" }],
      "oidc[0].jwksUri: write an https URL",
    ],
    ["a password in the URL", [{ ...good, jwksUri: "https://a:b@issuer.example/keys" }], "oidc[0].jwksUri"],
    ["two places for keys", [{ ...good, jwksFile: "a", jwks: { keys: [{}] } }], "at most one of jwksUri"],
    ["HS256", [{ ...good, algorithms: ["HS256"] }], "oidc[0].algorithms[0]"],
    ["none", [{ ...good, algorithms: ["none"] }], "oidc[0].algorithms[0]"],
    [
      "a rule of two readings",
      [{ ...good, subjects: [{ subject: "{a}{b}", namespace: "a", serviceAccount: "b" }] }],
      "oidc[0].subjects[0]: the part {a}",
    ],
    ["an age without end", [{ ...good, maxTokenAge: "48h" }], "oidc[0].maxTokenAge: write a duration from 1s to 24h"],
    ["the same issuer twice", [good, good], "an issuer may be named once"],
    ["a field that is none", [{ ...good, audience: "tulle" }], "audience"],
  ])("with %s are refused", (_, given, message) => {
    expect(() => checkIssuers(given)).toThrow(message);
  });

  test("with keys of their own may have any name", () => {
    const google = {
      issuer: "accounts.google.com",
      audiences: ["tulle"],
      jwksUri: "https://www.googleapis.com/oauth2/v3/certs",
    };
    expect(checkIssuers([google])).toEqual([google]);
  });
});
