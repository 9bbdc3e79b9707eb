import type { Policy } from "@tulle/policy";
import { describe, expect, it, test } from "vitest";
import { translatedAndTold as translated } from "../../test/translated-and-told.ts";

const request = (spec: string): string =>
  `apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: { name: a }\nspec: ${spec}`;

const rule = (fields: string): string => request(`{ jwtRules: [{ ${fields} }] }`);
const key = '{"kty":"EC","crv":"P-256","x":"x","y":"y"}';

const ruleIn = (policy: Policy | undefined): object => (policy?.kind === "Authentication" ? policy.jwt?.[0] : {}) ?? {};

describe("a RequestAuthentication", () => {
  test("becomes the rules about tokens of an Authentication policy", () => {
    const { policies, told } = translated(`apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: a }
spec:
  selector: { matchLabels: { app: b } }
  jwtRules:
    - issuer: https://issuer.test
      audiences: [shop]
      jwksUri: https://issuer.test/keys
      fromHeaders: [{ name: x-token, prefix: "Token " }]
      fromParams: [token]
      fromCookies: [session]
      outputPayloadToHeader: x-payload
      outputClaimToHeaders: [{ header: x-sub, claim: sub }]
      forwardOriginalToken: true
      spaceDelimitedClaims: [roles]
      presence: REQUIRED
      timeout: 2s`);
    expect(told).toEqual([]);
    expect(policies).toEqual([
      {
        kind: "Authentication",
        name: "a-jwt",
        namespace: "default",
        selector: { labels: { app: "b" } },
        jwt: [
          {
            issuer: "https://issuer.test",
            audiences: ["shop"],
            jwksUri: "https://issuer.test/keys",
            fromHeaders: [{ name: "x-token", prefix: "Token " }],
            fromParams: ["token"],
            fromCookies: ["session"],
            presence: "required",
            forwardOriginalToken: true,
            outputPayloadToHeader: "x-payload",
            outputClaimToHeaders: [{ header: "x-sub", claim: "sub" }],
            spaceDelimitedClaims: ["roles"],
            timeout: "2s",
          },
        ],
      },
    ]);
  });

  it.each([
    [
      "lists that are empty say nothing",
      "issuer: i, jwksUri: https://i.test, audiences: [], fromParams: []",
      { issuer: "i", jwksUri: "https://i.test" },
    ],
    ["an issuer may be left out", "jwksUri: https://i.test", { jwksUri: "https://i.test" }],
    ["a key by itself is a set of one", `issuer: i, jwks: '${key}'`, { issuer: "i", jwks: `{"keys":[${key}]}` }],
    [
      "keys in the document go before an address",
      `issuer: i, jwks: '{"keys":[${key}]}', jwksUri: https://i.test, timeout: 1s`,
      { issuer: "i", jwks: `{"keys":[${key}]}` },
    ],
  ])("%s", (_name, fields, expected) => {
    const { policies, refused } = translated(rule(fields));
    expect(refused).toEqual([]);
    expect(policies).toMatchObject([{ jwt: [expected] }]);
    expect(Object.keys(ruleIn(policies[0]))).toEqual(Object.keys(expected));
  });

  test("without rules becomes nothing", () => {
    expect(translated(request("{}"))).toEqual({ policies: [], told: [], refused: [] });
  });

  test("has another name than a PeerAuthentication that is called alike", () => {
    const peers = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: { name: a }\nspec: {}";
    const { policies } = translated(`${rule("issuer: i, jwksUri: https://i.test")}\n---\n${peers}`);
    expect(new Set(policies.map(({ name }) => name)).size).toBe(2);
  });

  it.each([
    ["neither issuer nor keys", "audiences: [a]", "spec.jwtRules[0].issuer"],
    ["an issuer that is no address, and no keys", "issuer: a@b.test", "spec.jwtRules[0]"],
    ["an empty audience", 'issuer: i, jwksUri: https://i.test, audiences: [""]', "spec.jwtRules[0].audiences[0]"],
    ["an address that is none", "issuer: i, jwksUri: i.test", "spec.jwtRules[0].jwksUri"],
    ["keys that are none", "issuer: i, jwks: foo", "spec.jwtRules[0].jwks"],
    [
      "a header without name",
      "issuer: https://i.test, fromHeaders: [{ prefix: a }]",
      "spec.jwtRules[0].fromHeaders[0].name",
    ],
    ["a header that is null", "issuer: https://i.test, fromHeaders: [~]", "spec.jwtRules[0].fromHeaders[0]"],
    ["an empty cookie", 'issuer: https://i.test, fromCookies: [""]', "spec.jwtRules[0].fromCookies[0]"],
    [
      "a claim without header",
      "issuer: https://i.test, outputClaimToHeaders: [{ claim: a }]",
      "spec.jwtRules[0].outputClaimToHeaders[0].header",
    ],
    [
      "a claim that is null",
      "issuer: https://i.test, outputClaimToHeaders: [~]",
      "spec.jwtRules[0].outputClaimToHeaders[0]",
    ],
    [
      "a header that is none",
      'issuer: https://i.test, outputClaimToHeaders: [{ claim: a, header: "b%c" }]',
      "spec.jwtRules[0].outputClaimToHeaders[0].header",
    ],
    ["a time that is none", "issuer: https://i.test, timeout: apple", "spec.jwtRules[0].timeout"],
    ["a presence that is none", "issuer: https://i.test, presence: MANDATORY", "spec.jwtRules[0].presence"],
    ["an unknown field", "issuer: https://i.test, leeway: 1s", "spec.jwtRules[0].leeway"],
  ])("is refused with %s", (_name, fields, path) => {
    const { policies, refused, told } = translated(rule(fields));
    expect(policies).toEqual([]);
    expect(refused).toContain(path);
    expect(told.at(-1)).toContain("nothing of this is in force");
  });

  test("is refused with a rule that is null", () => {
    expect(translated(request("{ jwtRules: [~] }")).refused).toContain("spec.jwtRules[0]");
  });
});
