import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Policy } from "@tulle/policy";
import { createTestIssuer } from "@tulle/testing";
import { describe, expect, onTestFinished, test } from "vitest";
import { createMesh } from "../src/create-mesh.ts";
import { partnersShop, productpage, request, type Shown, say, startTarget, statusesOf } from "./support/attack-kit.ts";

/*
 * Words that only the mesh may say, said by others: by strangers and by a federated peer to a running member, by its handlers to its
 * callers, and by servers that are no members to a member that calls them.
 */

const forged: readonly (readonly [name: string, value: string])[] = [
  ["X-Forwarded-Client-Cert", "By=a;URI=spiffe://cluster.local/ns/default/sa/admin"],
  ["x-envoy-expected-rq-timeout-ms", "0"],
  ["grpc-timeout", "0S"],
  ["X-Envoy-Attempt-Count", "9"],
  ["tulle-first-sent", "1"],
  ["x-envoy-priority", "0"],
  ["x-envoy-overloaded", "true"],
  ["X-Envoy-Degraded", "1"],
  ["endpoint-load-metrics", "TEXT cpu_utilization=0"],
  ["Endpoint-Load-Metrics-Format", "TEXT"],
  ["tulle-drain", "1"],
  ["TULLE-REFUSED", "unprocessed"],
  ["tulle-retried", "1"],
  ["tulle-error", "x"],
  ["tulle-what-comes-next", "x"],
  ["baggage", "user=root"],
  ["x-request-id", "1"],
];

const proven = "By=spiffe://cluster.local/ns/default/sa/reviews;URI=";

/** All that a handler can read a header from. */
const viewsOf = ({
  headers,
  headersDistinct,
  rawHeaders,
  trailers,
  trailersDistinct,
  rawTrailers,
}: IncomingMessage) => ({
  headers: { ...headers },
  distinct: { ...headersDistinct },
  raw: pairsOf(rawHeaders),
  trailers: { ...trailers },
  distinctTrailers: { ...trailersDistinct },
  rawTrailers: pairsOf(rawTrailers),
});

const pairsOf = (list: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    list.flatMap((name, at) => (at % 2 === 0 ? [[name.toLowerCase(), list[at + 1] ?? ""] as const] : [])),
  );

/** A request that says a word among its headers and again among its trailers. */
const saying = (name: string, value: string): string =>
  request(
    "/a",
    [
      `${name}: ${value}`,
      `${name.toUpperCase()}: ${value}`,
      "x-kept: 1",
      "transfer-encoding: chunked",
      `trailer: ${name}`,
    ],
    ["2", "hi", "0", `${name}: ${value}`, "x-kept-too: 1", "", ""].join("\r\n"),
    "POST",
  );

const strangers: readonly (readonly [who: string, as: Shown | "plaintext" | "nobody", id: string | undefined])[] = [
  ["a stranger in plaintext", "plaintext", undefined],
  ["a stranger over TLS", "nobody", undefined],
  ["a federated peer", partnersShop, partnersShop.spiffeId],
];

describe.each(strangers)("%s", (_, as, id) => {
  test.each(forged)("that says %s: %s is not heard, and no handler sees it", async (name, value) => {
    const target = await startTarget({ mtls: "permissive" });
    const answer = await say(target.port, as, saying(name, value));
    expect(statusesOf(answer)).toEqual([200]);
    expect(answer).not.toMatch(/endpoint-load-metrics|tulle-/i);
    const { headers, distinct, raw, ...trailing } = viewsOf(target.handled[0]!.request);
    const lower = name.toLowerCase();
    const told = lower === "x-forwarded-client-cert" && id !== undefined ? proven + id : undefined;
    expect([headers[lower], distinct[lower]?.join(), raw[lower]]).toEqual([told, told, told]);
    expect(headers).toMatchObject({ "x-kept": "1" });
    expect(trailing).toEqual({
      trailers: { "x-kept-too": "1" },
      distinctTrailers: { "x-kept-too": ["1"] },
      rawTrailers: { "x-kept-too": "1" },
    });
  });
});

test("a peer of ours that says who it is, in headers and trailers, is not believed but proven", async () => {
  const target = await startTarget();
  await say(target.port, productpage, saying(...forged[0]!));
  const views = viewsOf(target.handled[0]!.request);
  expect([views.headers, views.raw].map((view) => view["x-forwarded-client-cert"])).toEqual([
    proven + productpage.spiffeId,
    proven + productpage.spiffeId,
  ]);
  expect(views.distinct["x-forwarded-client-cert"]).toEqual([proven + productpage.spiffeId]);
  expect(views.trailers).toEqual({ "x-kept-too": "1" });
  expect(views.rawTrailers).toEqual({ "x-kept-too": "1" });
  expect(views.distinctTrailers).toEqual({ "x-kept-too": ["1"] });
});

describe("headers that a verified token's claims fill", () => {
  const issuer = createTestIssuer();
  const other = createTestIssuer({ issuer: issuer.issuer, kid: "other" });
  const users: Policy = {
    kind: "Authentication",
    name: "users",
    selector: { service: "reviews" },
    jwt: [{ issuer: issuer.issuer, jwks: issuer.jwks, outputClaimToHeaders: [{ header: "x-role", claim: "role" }] }],
  };
  const callers = [...strangers, ["a peer of ours", productpage, productpage.spiffeId] as const];

  test.each(callers)("are not %s's own, in no view", async (_, as) => {
    const target = await startTarget({ mtls: "permissive", policies: [users] });
    expect(statusesOf(await say(target.port, as, saying("X-Role", "admin")))).toEqual([200]);
    const views = viewsOf(target.handled[0]!.request);
    for (const view of Object.values(views)) expect(Object.keys(view)).not.toContain("x-role");
  });

  test("are the claim's beside a good token, whatever the caller said", async () => {
    const target = await startTarget({ policies: [users] });
    const bearer = `authorization: Bearer ${issuer.token({ role: "reader" })}`;
    await say(target.port, productpage, request("/a", ["x-role: admin", bearer, "X-ROLE: admin"]));
    expect(pairsOf(target.handled[0]!.request.rawHeaders)["x-role"]).toBe("reader");
    expect(target.handled[0]!.request.headersDistinct["x-role"]).toEqual(["reader"]);
  });

  const parts = issuer.token({ role: "reader" }).split(".");
  const base64 = (text: string): string => Buffer.from(text).toString("base64url");
  test.each<[string, string]>([
    ["none", `${base64('{"alg":"none"}')}.${parts[1]}.`],
    ["none in other letters", `${base64('{"alg":"nOnE"}')}.${parts[1]}.`],
    ["none with the good signature", `${base64('{"alg":"none"}')}.${parts[1]}.${parts[2]}`],
    ["an algorithm that shares a secret", `${base64('{"alg":"HS256","kid":"key-1"}')}.${parts[1]}.${parts[2]}`],
    ["another algorithm than the key's", issuer.token({ role: "admin" }, { alg: "RS256" })],
    ["a key that the issuer has not", other.token({ role: "admin" })],
    ["a key's name that is the issuer's, of another's key", other.token({ role: "admin" }, { kid: "key-1" })],
    ["a key's name that is a path", issuer.token({ role: "admin" }, { kid: "../../../../dev/null" })],
    [
      "a key of its own",
      issuer.token({ role: "admin" }, { kid: undefined, jwk: other.jwk, alg: "ES256" }).replace(/[^.]+$/, parts[2]!),
    ],
    ["the place of a key of its own", other.token({ role: "admin" }, { jku: "https://evil.example/keys" })],
    ["an extension that must be understood", issuer.token({ role: "admin" }, { crit: ["b64"], b64: false })],
    ["no signature", `${parts[0]}.${parts[1]}`],
    ["an empty signature", `${parts[0]}.${parts[1]}.`],
    [
      "other claims than were signed",
      `${parts[0]}.${base64('{"iss":"https://issuer.test","role":"admin"}')}.${parts[2]}`,
    ],
    ["an end that is past", issuer.token({ exp: 1 })],
    ["a beginning that is to come", issuer.token({ nbf: 9_999_999_999 })],
  ])("a token with %s fills none, and is refused", async (_, token) => {
    const target = await startTarget({ policies: [users] });
    const answer = await say(target.port, productpage, request("/a", [`authorization: Bearer ${token}`]));
    expect(statusesOf(answer)).toEqual([401]);
    expect(target.handled).toEqual([]);
  });

  test("two tokens of which one is good are refused, wherever they stand", async () => {
    const target = await startTarget({ policies: [users] });
    const good = `authorization: Bearer ${issuer.token()}`;
    const answers = await Promise.all([
      say(target.port, productpage, request("/a?access_token=bad", [good])),
      say(target.port, productpage, request("/a", [good, "authorization: Bearer bad"])),
    ]);
    expect(answers.map(statusesOf)).toEqual([[401], [401]]);
  });
});

/** Words that only the server's own gates say to callers. */
const reserved = ["tulle-refused", "Tulle-Drain", "tulle-retried", "ENDPOINT-LOAD-METRICS"] as const;
const all = Object.fromEntries(reserved.map((name) => [name, "1"]));

describe("a handler that says the mesh's words", () => {
  test.each<[string, (response: ServerResponse) => unknown]>([
    [
      "by setHeader",
      (response) => {
        for (const name of reserved) response.setHeader(name, "1");
        response.end("handled");
      },
    ],
    [
      "by appendHeader",
      (response) => {
        for (const name of reserved) response.appendHeader(name, ["1", "2"]);
        response.end("handled");
      },
    ],
    ["by setHeaders", (response) => response.setHeaders(new Map(Object.entries(all))).end("handled")],
    ["by writeHead", (response) => response.writeHead(200, all).end("handled")],
    ["by writeHead with a reason", (response) => response.writeHead(200, "Fine", all).end("handled")],
    ["by writeHead's flat list", (response) => response.writeHead(200, Object.entries(all).flat()).end("handled")],
    [
      "by writeHead's list of pairs",
      // Node.js takes it; its types do not say so.
      (response) => response.writeHead(200, Object.entries(all) as unknown as string[]).end("handled"),
    ],
    [
      "by headers that are flushed",
      (response) => {
        for (const name of reserved) response.setHeader(name, "1");
        response.flushHeaders();
        response.end("handled");
      },
    ],
  ])("%s is not heard", async (_, reply) => {
    const target = await startTarget({ handler: (_request, response) => void reply(response) });
    const answer = await say(target.port, productpage, request("/a"));
    expect(statusesOf(answer)).toEqual([200]);
    expect(answer).toContain("handled");
    expect(answer).not.toMatch(/tulle-|endpoint-load-metrics/i);
  });

  test.each<[string, (response: ServerResponse) => void]>([
    [
      "in early hints",
      (response) => response.writeEarlyHints({ link: "</a>; rel=preload", ...all }, () => response.end("handled")),
    ],
    [
      "in trailers",
      (response) => {
        response.setHeader("trailer", reserved.join());
        response.write("handled");
        response.addTrailers(all);
        response.end();
      },
    ],
  ])("%s is not believed by its callers", async (_, reply) => {
    const target = await startTarget({ handler: (_request, response) => reply(response) });
    const caller = callerOf(target.port, "mtls");
    for (let call = 0; call < 2; call++) {
      const answer = await caller.request("http://reviews/a", { method: "POST", body: "x" });
      expect([answer.statusCode, await answer.body.text()]).toEqual([200, "handled"]);
    }
    expect(target.handled).toHaveLength(2);
  });
});

/** A member that calls one endpoint of reviews. */
const callerOf = (port: number, transport: "mtls" | "plaintext", policies: readonly Policy[] = []) => {
  const mesh = createMesh({
    policies,
    endpoints: { reviews: [{ address: "127.0.0.1", port, transport }] },
    service: "productpage",
    credentials: productpage,
  });
  onTestFinished(() => mesh.leave());
  return mesh;
};

describe("a server that is no member", () => {
  test.each(["tulle-refused", "tulle-drain", "tulle-retried", "endpoint-load-metrics", "x-envoy-degraded"])(
    "that says %s in its replies is not believed",
    async (name) => {
      let asked = 0;
      const server = createServer((message, response) => {
        asked += 1;
        message.resume();
        response.writeHead(503, { [name]: name === "tulle-refused" ? "unprocessed" : "1" }).end("no");
      });
      onTestFinished(() => void server.close());
      onTestFinished(() => server.closeAllConnections());
      await once(server.listen(0, "127.0.0.1"), "listening");
      const caller = callerOf((server.address() as AddressInfo).port, "plaintext");
      for (let call = 1; call <= 2; call++) {
        const answer = await caller.request("http://reviews/a", { method: "POST", body: "x" });
        expect([answer.statusCode, await answer.body.text()]).toEqual([503, "no"]);
        // A refusal that is believed would have been tried again, and a drain would have left nobody to ask.
        expect(asked).toBe(call);
      }
    },
  );

  test("cannot answer for a member with the certificate of another one", async () => {
    const target = await startTarget();
    const mesh = callerOf(target.port, "mtls", [{ kind: "Service", name: "reviews", serviceAccounts: ["ratings"] }]);
    await expect(mesh.request("http://reviews/a")).rejects.toMatchObject({ code: "IDENTITY_MISMATCH" });
    expect(target.handled).toEqual([]);
  });
});
