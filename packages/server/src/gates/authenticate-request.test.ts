import type { IncomingMessage } from "node:http";
import { effectiveJwtRule, type JwtRule } from "@tulle/policy";
import { createTestIssuer, FakeClock } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import { strangerConnection } from "../connection.ts";
import type { Refusal, Visit } from "../gate.ts";
import { compileInbound } from "../inbound-policy.ts";
import { TokenDesk } from "../tokens/token-desk.ts";
import { authenticateRequest } from "./authenticate-request.ts";
import { presentEndUser } from "./present-end-user.ts";

const issuer = createTestIssuer();
const token = issuer.token({ role: "reader" });

type Fields = readonly (readonly [string, string])[];

/** A request as the gate reads it. */
const requestOf = (fields: Fields, url: string, method: string) => ({
  method,
  url,
  rawHeaders: fields.flat(),
  headers: Object.fromEntries(fields.map(([name, value]) => [name.toLowerCase(), value])),
  headersDistinct: Object.fromEntries(fields.map(([name, value]) => [name.toLowerCase(), [value]])),
});

const pass = async (
  rule: Partial<JwtRule>,
  fields: Fields,
  { url = "/reviews", method = "GET", touchHeaders = true } = {},
): Promise<{
  readonly refusal: Refusal | undefined;
  readonly visit: Visit;
  readonly request: ReturnType<typeof requestOf>;
}> => {
  const written: JwtRule = { issuer: issuer.issuer, jwks: issuer.jwks, ...rule };
  const tokens = new TokenDesk({
    clock: new FakeClock(),
    random: () => 0,
    fetch: () => Promise.reject(new Error("nothing is fetched in this test")),
    storage: undefined,
    onNotice: () => undefined,
  });
  tokens.take([effectiveJwtRule(written)]);
  const policy = compileInbound(
    {
      revision: "1",
      mesh: { kind: "Mesh", name: "mesh" },
      service: { kind: "Service", name: "reviews" },
      access: [],
      authentication: [{ kind: "Authentication", name: "users", jwt: [written] }],
    },
    {},
  );
  const request = requestOf(fields, url, method);
  const visit = {
    request: request as unknown as IncomingMessage,
    path: url.split("?")[0],
    method,
    token: undefined,
    peer: strangerConnection({ remoteAddress: undefined }, "plaintext").peer,
    // The gate reads these fields and no others.
  } as unknown as Visit;
  const kit = { current: { policy }, tokens, touchHeaders, endUsers: new WeakMap() };
  const refusal = (await authenticateRequest(kit)(visit)) ?? (await presentEndUser(kit)(visit));
  return { refusal, visit, request };
};

describe("the gates that prove and present the end user", () => {
  test("lets a request without token pass, and nobody is its user", async () => {
    const { refusal, visit } = await pass({}, [["Host", "reviews"]]);
    expect(refusal).toBeUndefined();
    expect(visit.token).toBeUndefined();
  });

  test("tells who the user is, and hides the token from the handler", async () => {
    const { refusal, visit, request } = await pass({}, [
      ["Authorization", `Bearer ${token}`],
      ["Accept", "a"],
    ]);
    expect(refusal).toBeUndefined();
    expect(visit.token).toMatchObject({ subject: "user-1", claims: { role: "reader" } });
    expect(request).toMatchObject({
      headers: { accept: "a" },
      headersDistinct: { accept: ["a"] },
      rawHeaders: ["Accept", "a"],
    });
    expect(request.headers).not.toHaveProperty("authorization");
  });

  test("leaves the token where the rule forwards it", async () => {
    const { request } = await pass({ forwardOriginalToken: true }, [["Authorization", `Bearer ${token}`]]);
    expect(request.headers.authorization).toBe(`Bearer ${token}`);
  });

  test("hides a token in the query and in a cookie and nothing beside it", async () => {
    const { request } = await pass(
      { fromParams: ["t"], fromCookies: ["session"] },
      [["Cookie", `a=b; session=${token}; c="d"`]],
      { url: `/reviews?x=%20y&t=${token}&z` },
    );
    expect(request.url).toBe("/reviews?x=%20y&z");
    expect(request.headers.cookie).toBe('a=b; c="d"');
    expect(request.rawHeaders).toEqual(["cookie", 'a=b; c="d"']);
  });

  test.each([
    ["with a good token", [["Authorization", `Bearer ${token}`]] as Fields, { "x-role": "reader" }],
    ["without token", [] as Fields, {}],
  ])("takes headers for claims from whoever sends them, %s", async (_name, fields, left) => {
    const { request } = await pass(
      {
        outputClaimToHeaders: [
          { header: "X-Role", claim: "role" },
          { header: "X-Missing", claim: "missing" },
        ],
      },
      [["X-ROLE", "admin"], ["x-missing", "admin"], ...fields],
    );
    expect(request.headers).toEqual(left);
    expect(request.headersDistinct).toEqual(
      Object.fromEntries(Object.entries(left).map(([name, value]) => [name, [value]])),
    );
    expect(request.rawHeaders).toEqual(Object.entries(left).flat());
  });

  test("finds the token in a header that its claims then fill", async () => {
    const { visit, request } = await pass(
      { fromHeaders: [{ name: "x-user" }], outputClaimToHeaders: [{ header: "x-user", claim: "sub" }] },
      [["X-User", token]],
    );
    expect(visit.token?.subject).toBe("user-1");
    expect(request.headers).toEqual({ "x-user": "user-1" });
  });

  test("refuses a bad token as Envoy writes it, and does not repeat the query", async () => {
    const { refusal } = await pass({}, [["Host", 'reviews"\\:80']], { url: "/reviews?access_token=bad" });
    expect(refusal).toEqual({
      code: "TOKEN_INVALID",
      detail: "the token has not the three parts of a signed token",
      challenge: 'Bearer realm="http://reviews:80/reviews", error="invalid_token"',
    });
  });

  test("refuses a request without the token that a rule requires, and names no error of a token", async () => {
    const { refusal } = await pass({ presence: "required" }, [["Host", "reviews"]]);
    expect(refusal).toEqual({
      code: "TOKEN_MISSING",
      detail: "a token is required that the request does not carry",
      challenge: 'Bearer realm="http://reviews/reviews"',
    });
  });

  test("lets a browser's question for permission pass, but takes forged headers out of it", async () => {
    const fields: Fields = [
      ["Origin", "https://shop.test"],
      ["Access-Control-Request-Method", "POST"],
      ["Authorization", "Bearer bad"],
      ["x-role", "admin"],
    ];
    const rule = { outputClaimToHeaders: [{ header: "x-role", claim: "role" }] };
    const { refusal, visit, request } = await pass(rule, fields, { method: "OPTIONS" });
    expect(refusal).toBeUndefined();
    expect(visit.token).toBeUndefined();
    expect(request.headers).not.toHaveProperty("x-role");
    expect((await pass(rule, fields.slice(1), { method: "OPTIONS" })).refusal?.code).toBe("TOKEN_INVALID");
    expect((await pass(rule, fields)).refusal?.code).toBe("TOKEN_INVALID");
  });

  test("touches nothing while the service has not moved in", async () => {
    const fields: Fields = [
      ["Authorization", `Bearer ${token}`],
      ["x-role", "admin"],
    ];
    const { request } = await pass({ outputClaimToHeaders: [{ header: "x-role", claim: "role" }] }, fields, {
      touchHeaders: false,
    });
    expect(request.rawHeaders).toEqual(fields.flat());
  });
});
