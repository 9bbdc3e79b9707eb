import { describe, expect, test } from "vitest";
import type { AuthenticationPolicy } from "./authentication-policy.ts";
import { checkPolicy } from "./check-policy.ts";
import { effectiveJwtRule, type JwtRule, sanitizeAudience } from "./jwt-policy.ts";
import { parsePolicies } from "./schema.ts";

const jwks = JSON.stringify({ keys: [{ kty: "EC", crv: "P-256", x: "x", y: "y" }] });

const withRule = (rule: Partial<JwtRule>): AuthenticationPolicy => ({
  kind: "Authentication",
  name: "users",
  jwt: [{ issuer: "https://issuer.test", ...rule }],
});

const uri = { jwksUri: "https://issuer.test/keys" };

describe("a rule about tokens", () => {
  test.each<[string, Partial<JwtRule>]>([
    ["an address of keys", uri],
    ["a plain address, where it is written so", { jwksUri: "http://auth.default/keys" }],
    ["keys", { jwks }],
    ["an issuer that tells of its keys", {}],
    [
      "every field",
      {
        ...uri,
        audiences: ["a"],
        fromHeaders: [{ name: "x-token", prefix: "Token " }],
        fromParams: ["t"],
        fromCookies: ["session"],
        forwardOriginalToken: true,
        outputPayloadToHeader: "x-payload",
        outputClaimToHeaders: [{ header: "x_sub", claim: "a.b" }],
        spaceDelimitedClaims: ["login.roles"],
        presence: "required",
        timeout: "10ms",
      },
    ],
  ])("makes sense with %s", (_name, rule) => {
    expect(checkPolicy(withRule(rule))).toEqual([]);
    expect(parsePolicies([withRule(rule)]).problems).toEqual([]);
  });

  test("makes sense without issuer where it has keys, and not without them", () => {
    const problemsOf = (rule: JwtRule) => {
      const policy: AuthenticationPolicy = { kind: "Authentication", name: "users", jwt: [rule] };
      return [...checkPolicy(policy), ...parsePolicies([policy]).problems].map(({ message }) => message);
    };
    expect([...problemsOf(uri), ...problemsOf({ jwks })]).toEqual([]);
    expect(problemsOf({})[0]).toContain("no keys to check tokens with");
  });

  test.each<[string, Partial<JwtRule>, string, string]>([
    ["no keys", { issuer: "issuer@example.com" }, "jwt[0]", "no keys to check tokens with"],
    ["keys twice", { ...uri, jwks }, "jwt[0]", "both set"],
    ["an empty issuer", { ...uri, issuer: "" }, "jwt[0].issuer", "empty"],
    ["an empty audience", { ...uri, audiences: [""] }, "jwt[0].audiences[0]", "empty"],
    ["an audience of a scheme alone", { ...uri, audiences: ["https://"] }, "jwt[0].audiences[0]", "empty"],
    ["an address without scheme", { jwksUri: "hTPp\\\blah" }, "jwt[0].jwksUri", "not an address"],
    ["an address of a file", { jwksUri: "file:///etc/passwd" }, "jwt[0].jwksUri", "not an address"],
    ["an address with a user", { jwksUri: "https://a:b@issuer.test" }, "jwt[0].jwksUri", "a user"],
    ["keys that are no JSON", { jwks: "{" }, "jwt[0].jwks", "not a JSON Web Key Set"],
    ["keys that are none", { jwks: '{"keys":[]}' }, "jwt[0].jwks", "no key of RSA, EC or OKP"],
    ["a private key", { jwks: '{"keys":[{"kty":"EC","d":"AA"}]}' }, "jwt[0].jwks", "private or a symmetric"],
    [
      "a shared secret",
      { jwks: '{"keys":[{"kty":"RSA"},{"kty":"oct","k":"AA"}]}' },
      "jwt[0].jwks",
      "private or a symmetric",
    ],
    ["a nameless header", { ...uri, fromHeaders: [{ name: "" }] }, "jwt[0].fromHeaders[0].name", "not the name"],
    ["a nameless parameter", { ...uri, fromParams: [""] }, "jwt[0].fromParams[0]", "empty"],
    ["a nameless cookie", { ...uri, fromCookies: ["", "a"] }, "jwt[0].fromCookies[0]", "not the name of a cookie"],
    ["no headers at all", { ...uri, fromHeaders: [] }, "jwt[0].fromHeaders", "empty"],
    [
      "a header that is none",
      { ...uri, outputClaimToHeaders: [{ header: "abc%123", claim: "sub" }] },
      "jwt[0].outputClaimToHeaders[0].header",
      "letters, digits",
    ],
    [
      "a header of the protocol",
      { ...uri, outputClaimToHeaders: [{ header: ":authority", claim: "sub" }] },
      "jwt[0].outputClaimToHeaders[0].header",
      "letters, digits",
    ],
    [
      "a header of the mesh",
      { ...uri, outputPayloadToHeader: "tulle-user" },
      "jwt[0].outputPayloadToHeader",
      "by the mesh",
    ],
    [
      "a header that frames the body",
      { ...uri, outputPayloadToHeader: "Content-Length" },
      "jwt[0].outputPayloadToHeader",
      "body",
    ],
    [
      "a header with a meaning of its own",
      { ...uri, outputPayloadToHeader: "Cookie" },
      "jwt[0].outputPayloadToHeader",
      "meaning",
    ],
    [
      "a header twice",
      { ...uri, outputPayloadToHeader: "X-A", outputClaimToHeaders: [{ header: "x-a", claim: "sub" }] },
      "jwt[0]",
      "written twice",
    ],
    [
      "a claim without a name",
      { ...uri, outputClaimToHeaders: [{ header: "x-a", claim: "a..b" }] },
      "jwt[0].outputClaimToHeaders[0].claim",
      "not a claim",
    ],
    ["a time limit where nothing is fetched", { jwks, timeout: "1s" }, "jwt[0].timeout", "nothing with jwks"],
    ["a time limit of none", { ...uri, timeout: "0s" }, "jwt[0].timeout", "1ms"],
  ])("is refused with %s", (_name, rule, path, message) => {
    const found = checkPolicy(withRule(rule)).find((problem) => problem.path === path);
    expect(found?.message).toContain(message);
    expect(parsePolicies([withRule(rule)]).problems.map((problem) => problem.path)).toContain(path);
  });
});

describe("the defaults of a rule", () => {
  test("look into authorization and access_token", () => {
    const { headers, params, cookies } = effectiveJwtRule({ issuer: "a", ...uri });
    expect({ headers, params, cookies }).toEqual({
      headers: [{ name: "authorization", prefix: "Bearer " }],
      params: ["access_token"],
      cookies: [],
    });
  });

  test("look nowhere else where a place is named", () => {
    const { headers, params, cookies } = effectiveJwtRule({ issuer: "a", ...uri, fromCookies: ["session"] });
    expect({ headers, params, cookies }).toEqual({ headers: [], params: [], cookies: ["session"] });
  });

  test("ask an issuer without keys for them by OpenID discovery", () => {
    expect(effectiveJwtRule({ issuer: "https://issuer.test/realm/" }).keys).toEqual({
      uri: "https://issuer.test/realm/.well-known/openid-configuration",
      discovers: "https://issuer.test/realm/",
      timeoutMs: 5_000,
    });
  });

  test("give keys 5 s, forward no token and divide scope and permission", () => {
    expect(effectiveJwtRule({ issuer: "a", ...uri })).toMatchObject({
      keys: { timeoutMs: 5_000 },
      forwardOriginalToken: false,
      spaceDelimitedClaims: [["scope"], ["permission"]],
    });
  });
});

test.each([
  ["https://shop.test/", "shop.test"],
  ["http://shop.test", "shop.test"],
  ["shop.test//", "shop.test/"],
  ["HTTPS://shop.test", "HTTPS://shop.test"],
  ["/", ""],
])("the audience %j is compared as %j", (audience, expected) => {
  expect(sanitizeAudience(audience)).toBe(expected);
});
