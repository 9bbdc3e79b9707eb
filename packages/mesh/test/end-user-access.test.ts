import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AccessPolicy, Policy } from "@tulle/policy";
import { createTestAuthority, createTestIssuer } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import { createMesh } from "../src/create-mesh.ts";

// What access policies say of end users, each request sent over mTLS to a running member.

const authority = await createTestAuthority();
const issuer = createTestIssuer({ issuer: "https://issuer.test/realm" });
const other = createTestIssuer({ issuer: "https://other.test" });

const users: Policy = {
  kind: "Authentication",
  name: "users",
  selector: { service: "reviews" },
  jwt: [
    { issuer: issuer.issuer, jwks: issuer.jwks, outputClaimToHeaders: [{ header: "x-role", claim: "role" }] },
    { issuer: other.issuer, jwks: other.jwks },
  ],
};

const members = async (policies: readonly Policy[]) => {
  const reviews = createMesh({
    policies: [{ kind: "Service", name: "reviews" }, users, ...policies],
    endpoints: {},
    service: "reviews",
    credentials: await authority.issue({ serviceAccount: "reviews" }),
  });
  const { port } = await reviews.listen((request, response) => response.end(JSON.stringify(request.headers)), {
    port: 0,
    host: "127.0.0.1",
    signals: false,
  });
  const productpage = createMesh({
    policies: [],
    endpoints: { reviews: [`127.0.0.1:${port}`] },
    service: "productpage",
    credentials: await authority.issue({ serviceAccount: "productpage" }),
  });
  return {
    call: async (token: string | undefined, headers: Readonly<Record<string, string>> = {}) => {
      const answer = await productpage.request("http://reviews/7", {
        headers: { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
      });
      const text = await answer.body.text();
      // The handler echoes exactly what Node gives it.
      return {
        status: answer.statusCode,
        seen: answer.statusCode === 200 ? (JSON.parse(text) as IncomingHttpHeaders) : {},
      };
    },
    [Symbol.asyncDispose]: async () => {
      await productpage.leave();
      await reviews.leave();
    },
  };
};

const allow = (rule: NonNullable<AccessPolicy["rules"]>[number]): AccessPolicy => ({
  kind: "Access",
  name: "users",
  selector: { service: "reviews" },
  rules: [rule],
});

const claim = (key: string, ...values: readonly string[]): AccessPolicy =>
  allow({ when: [{ key: `request.auth.claims${key}`, values }] });

describe("an access policy about end users", () => {
  test.each<[string, AccessPolicy, string | undefined, number]>([
    ["any user, without token", allow({ from: [{ requestPrincipals: ["*"] }] }), undefined, 403],
    ["any user, with a token", allow({ from: [{ requestPrincipals: ["*"] }] }), issuer.token(), 200],
    ["any user, with a bad token", allow({ from: [{ requestPrincipals: ["*"] }] }), "bad", 401],
    [
      "any user, with a token of nobody",
      allow({ from: [{ requestPrincipals: ["*"] }] }),
      issuer.token({ sub: undefined }),
      403,
    ],
    ["one user", allow({ from: [{ requestPrincipals: [`${issuer.issuer}/user-1`] }] }), issuer.token(), 200],
    [
      "one user, of another issuer",
      allow({ from: [{ requestPrincipals: [`${issuer.issuer}/user-1`] }] }),
      other.token(),
      403,
    ],
    ["nobody but those without token", allow({ from: [{ notRequestPrincipals: ["*"] }] }), issuer.token(), 403],
    ["a claim in a list", claim("[groups]", "b"), issuer.token({ groups: ["a", "b"] }), 200],
    ["a claim in a list, without it", claim("[groups]", "c"), issuer.token({ groups: ["a", "b"] }), 403],
    ["one word of a scope", claim("[scope]", "write"), issuer.token({ scope: "read write" }), 200],
    ["a part of a word of a scope", claim("[scope]", "writ"), issuer.token({ scope: "read write" }), 403],
    ["a claim within others", claim("[nested][key]", "value"), issuer.token({ nested: { key: "value" } }), 200],
    ["a claim within others, elsewhere", claim("[nested][key]", "value"), issuer.token({ key: "value" }), 403],
    [
      "an audience",
      allow({ when: [{ key: "request.auth.audiences", values: ["orders"] }] }),
      issuer.token({ aud: ["shop", "orders"] }),
      200,
    ],
    [
      "whom a token was issued to",
      allow({ when: [{ key: "request.auth.presenter", values: ["app"] }] }),
      issuer.token({ azp: "app" }),
      200,
    ],
    [
      "a header that a claim filled",
      allow({ when: [{ key: "request.headers[x-role]", values: ["reader"] }] }),
      issuer.token({ role: "reader" }),
      200,
    ],
  ])("that allows %s answers as it should (%#)", async (_name, policy, token, status) => {
    await using mesh = await members([policy]);
    expect((await mesh.call(token)).status).toBe(status);
  });

  test("does not believe a header that only a claim may fill", async () => {
    await using mesh = await members([allow({ when: [{ key: "request.headers[x-role]", values: ["admin"] }] })]);
    expect((await mesh.call(undefined, { "x-role": "admin" })).status).toBe(403);
    expect((await mesh.call(issuer.token({ role: "reader" }), { "x-role": "admin" })).status).toBe(403);
    expect((await mesh.call(issuer.token({ role: "admin" }))).status).toBe(200);
  });
});

test("an authorizer sees the token, no forged header, and cannot fill a header that is a claim's", async () => {
  const asked: IncomingHttpHeaders[] = [];
  const authorizer = createServer((request, response) => {
    asked.push(request.headers);
    response.setHeader("x-role", "admin").setHeader("x-seen", "yes").end();
  }).listen(0, "127.0.0.1");
  await once(authorizer, "listening");
  const address = authorizer.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  await using mesh = await members([
    {
      kind: "Mesh",
      name: "mesh",
      authorizers: {
        opa: {
          url: `http://127.0.0.1:${port}`,
          timeout: "5s",
          includeRequestHeaders: ["x-role"],
          headersToUpstreamOnAllow: ["x-role", "x-seen"],
        },
      },
    },
    { kind: "Access", name: "ask", selector: { service: "reviews" }, action: "custom", authorizer: "opa", rules: [{}] },
  ]);
  const token = issuer.token({ role: "reader" });
  const { status, seen } = await mesh.call(token, { "x-role": "forged" });
  expect(status).toBe(200);
  expect(asked).toHaveLength(1);
  expect(asked[0]?.authorization).toBe(`Bearer ${token}`);
  expect(asked[0]).not.toHaveProperty("x-role");
  expect(seen).toMatchObject({ "x-role": "reader", "x-seen": "yes" });
  expect(seen).not.toHaveProperty("authorization");
  expect((await mesh.call(undefined)).seen).not.toHaveProperty("x-role");
  authorizer.closeAllConnections();
  authorizer.close();
});
