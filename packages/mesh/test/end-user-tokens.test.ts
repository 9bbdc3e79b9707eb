import { once } from "node:events";
import { readFile, stat } from "node:fs/promises";
import { request as httpRequest, type IncomingMessage, type ServerResponse } from "node:http";
import { join } from "node:path";
import type { AuthenticationPolicy, JwtRule, Policy } from "@tulle/policy";
import { createTestAuthority, createTestIssuer, type TestIssuer } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import { createMesh } from "../src/create-mesh.ts";
import { meshHandler } from "../src/node-http.ts";
import { startKeyServer } from "./support/key-server.ts";
import { startMesh } from "./support/mesh-fixture.ts";

// Tokens of end users, each request sent over mTLS to a running member.

const authority = await createTestAuthority();
const issuer = createTestIssuer();

const rules = (...jwt: readonly JwtRule[]): AuthenticationPolicy => ({
  kind: "Authentication",
  name: "users",
  selector: { service: "reviews" },
  jwt,
});

const reviewsPolicy: Policy = { kind: "Service", name: "reviews" };

/** What a handler sees of a request, in every view that Node gives of it. */
const echo = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
  request.resume();
  await once(request, "end");
  const { httpVersion, url, headers, headersDistinct, rawHeaders, trailers, rawTrailers } = request;
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ httpVersion, url, headers, headersDistinct, rawHeaders, trailers, rawTrailers }));
};

interface Echo {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** A member `reviews` with rules, and a member `productpage` that calls it. */
const members = async (
  policies: readonly Policy[],
  endpoints: Readonly<Record<string, readonly string[]>> = {},
  reviewsPolicy: Policy = { kind: "Service", name: "reviews" },
) => {
  const warnings: string[] = [];
  const reviews = createMesh({
    policies: [reviewsPolicy, ...policies],
    endpoints,
    service: "reviews",
    credentials: await authority.issue({ serviceAccount: "reviews" }),
    logger: { info: () => undefined, warn: (text) => warnings.push(text), error: () => undefined },
  });
  const listener = await reviews.listen(echo, {
    port: 0,
    host: "127.0.0.1",
    signals: false,
    public: [{ port: 0, host: "127.0.0.1" }],
  });
  const productpage = createMesh({
    policies: [reviewsPolicy],
    endpoints: { reviews: [`127.0.0.1:${listener.port}`] },
    service: "productpage",
    credentials: await authority.issue({ serviceAccount: "productpage" }),
  });
  return {
    reviews,
    warnings,
    listener,
    call: async (token: string | undefined, headers: Readonly<Record<string, string>> = {}, path = "/7") => {
      const answer = await productpage.request(`http://reviews${path}`, {
        headers: { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
      });
      // Handler and refusal both answer with JSON.
      const body = JSON.parse(await answer.body.text()) as Echo & { readonly code?: string };
      return { ...body, status: answer.statusCode, sent: body.headers };
    },
    [Symbol.asyncDispose]: async () => {
      await productpage.leave();
      await reviews.leave();
    },
  };
};

const ruleAt = (jwksUri: string, more: Partial<JwtRule> = {}): JwtRule => ({ issuer: issuer.issuer, jwksUri, ...more });

const published = ({ jwk }: TestIssuer): unknown => ({ keys: [jwk] });

describe("an issuer whose keys cannot be had", () => {
  test.each<[string, (request: IncomingMessage, response: ServerResponse) => unknown, string]>([
    ["resets the connection", (request) => request.socket.destroy(), "cannot be fetched"],
    ["says nothing", () => undefined, "no answer within 200 ms"],
    [
      "says a little at a time",
      (_request, response) => void response.writeHead(200).write("{"),
      "no answer within 200 ms",
    ],
    ["answers with an error", (_request, response) => response.writeHead(503).end(), "status 503"],
    ["sends elsewhere", (_request, response) => response.writeHead(302, { location: "/other" }).end(), "status 302"],
    ["answers with a page", (_request, response) => response.end("<html>"), "cannot be fetched"],
    ["answers without keys", (_request, response) => response.end('{"keys":[]}'), "no key that could check a token"],
    [
      "answers with more than anybody needs",
      (_request, response) => response.end(Buffer.alloc(1_000_000, " ")),
      "longer than 262144 bytes",
    ],
  ])("%s: its tokens are refused, and requests without token pass", async (_name, answer, warning) => {
    await using keys = await startKeyServer(published(issuer));
    keys.answer = answer;
    // Short only where time is what ends it: a busy machine must not come first.
    const timeout = warning.startsWith("no answer") ? "200ms" : "10s";
    await using mesh = await members([rules(ruleAt(keys.uri, { timeout }))]);
    expect(await mesh.call(issuer.token())).toMatchObject({ status: 401, code: "TOKEN_KEYS_UNAVAILABLE" });
    expect((await mesh.call(undefined)).status).toBe(200);
    expect(mesh.warnings.join()).toContain(warning);
  });

  test("is tried again, and then believed", async () => {
    await using keys = await startKeyServer(published(issuer));
    const { answer } = keys;
    keys.answer = (_request, response) => response.writeHead(503).end();
    await using mesh = await members([rules(ruleAt(keys.uri))]);
    expect((await mesh.call(issuer.token())).status).toBe(401);
    keys.answer = answer;
    await expect.poll(async () => (await mesh.call(issuer.token())).status).toBe(200);
  });
});

test("no call fails while an issuer changes its key under traffic, and the member fetches twice in all", async () => {
  let current = createTestIssuer({ kid: "old" });
  await using keys = await startKeyServer(published(current));
  await using mesh = await members([rules(ruleAt(keys.uri))]);
  const statuses: number[] = [];
  let stopped = false;
  const traffic = Array.from({ length: 4 }, async () => {
    for (let at = 0; !stopped; at++) statuses.push((await mesh.call(current.token({ at }))).status);
  });
  await expect.poll(() => statuses.length).toBeGreaterThan(50);
  const next = createTestIssuer({ kid: "new" });
  const both = { keys: [current.jwk, next.jwk] };
  keys.answer = (_request, response) => response.end(JSON.stringify(both));
  current = next;
  const before = statuses.length;
  await expect.poll(() => statuses.length).toBeGreaterThan(before + 50);
  stopped = true;
  await Promise.all(traffic);
  expect(new Set(statuses)).toEqual(new Set([200]));
  expect(keys.requests).toBe(2);
});

test("tokens with invented key ids make a member fetch once, not once each", async () => {
  await using keys = await startKeyServer(published(issuer));
  await using mesh = await members([rules(ruleAt(keys.uri))]);
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, at) => mesh.call(issuer.token({}, { kid: `invented-${at}` }))),
  );
  expect(new Set(answers.map(({ status, code }) => `${status} ${code}`))).toEqual(new Set(["401 TOKEN_INVALID"]));
  expect(keys.requests).toBe(2);
  expect((await mesh.call(issuer.token())).status).toBe(200);
});

test("keys of an issuer inside the mesh are fetched over mTLS", async () => {
  const auth = createMesh({
    policies: [{ kind: "Service", name: "auth" }],
    endpoints: {},
    service: "auth",
    credentials: await authority.issue({ serviceAccount: "auth" }),
  });
  const callers: unknown[] = [];
  const listener = await auth.listen(
    (request, response) => {
      callers.push(request.headers["x-forwarded-client-cert"]);
      response.end(issuer.jwks);
    },
    { port: 0, host: "127.0.0.1", signals: false },
  );
  await using mesh = await members([{ kind: "Service", name: "auth" }, rules(ruleAt("http://auth/jwks"))], {
    auth: [`127.0.0.1:${listener.port}`],
  });
  expect((await mesh.call(issuer.token())).status).toBe(200);
  expect(callers).toEqual([expect.stringContaining("spiffe://cluster.local/ns/default/sa/reviews")]);
  await mesh[Symbol.asyncDispose]();
  await auth.leave();
});

describe.each(["http1", "http2"] as const)("tokens in %s", (protocol) => {
  const open = () =>
    members(
      [
        rules({
          issuer: issuer.issuer,
          jwks: issuer.jwks,
          fromHeaders: [{ name: "authorization", prefix: "Bearer " }],
          fromParams: ["t"],
          fromCookies: ["session"],
          outputClaimToHeaders: [{ header: "x-user", claim: "sub" }],
        }),
      ],
      {},
      { kind: "Service", name: "reviews", ...(protocol === "http2" ? { protocol } : {}) },
    );

  test("are hidden wherever they stand, in every view, and claims take the place of forged headers", async () => {
    await using mesh = await open();
    const token = issuer.token();
    const seen = await mesh.call(token, { "x-user": "admin", cookie: `a=b; session=${token}` }, `/7?x=y&t=${token}`);
    expect(seen.status).toBe(200);
    expect(JSON.stringify(seen)).not.toMatch(/admin/);
    expect(JSON.stringify(seen)).not.toContain(token);
    expect(seen).toMatchObject({
      httpVersion: protocol === "http2" ? "2.0" : "1.1",
      url: "/7?x=y",
      sent: { "x-user": "user-1", cookie: "a=b" },
    });
    expect(JSON.stringify((await mesh.call(undefined, { "x-user": "admin" })).sent)).not.toContain("admin");
  });

  test.each([
    ["the header", "bad", {}, "/7"],
    ["a cookie", undefined, { cookie: "session=bad" }, "/7"],
    ["the query", undefined, {}, "/7?t=bad"],
  ])("that are bad in %s refuse the request", async (_place, token, headers, path) => {
    await using mesh = await open();
    expect(await mesh.call(token, headers, path)).toMatchObject({ status: 401, code: "TOKEN_INVALID" });
  });
});

describe("headers that claims fill", () => {
  const { jwks } = issuer;
  const filling = rules({
    issuer: issuer.issuer,
    jwks,
    outputPayloadToHeader: "x-payload",
    outputClaimToHeaders: [{ header: "x-user", claim: "sub" }],
  });
  const forged = { "X-User": "admin", "x-payload": "forged" };

  test("are never a peer's own, in no view of the request", async () => {
    await using mesh = await members([filling]);
    const without = await mesh.call(undefined, forged);
    expect(without.status).toBe(200);
    expect(JSON.stringify(without.sent)).not.toMatch(/admin|forged/);
    const { status, sent, rawHeaders, headersDistinct } = { ...(await mesh.call(issuer.token(), forged)) } as never;
    expect(status).toBe(200);
    expect(sent).toMatchObject({ "x-user": "user-1" });
    expect(headersDistinct).toMatchObject({ "x-user": ["user-1"] });
    expect(JSON.stringify(rawHeaders)).not.toMatch(/admin|forged/);
  });

  test("are never a stranger's own, not as trailers either", async () => {
    await using mesh = await members([filling]);
    const request = httpRequest({
      host: "127.0.0.1",
      port: mesh.listener.publicPorts[0],
      agent: false,
      method: "POST",
      path: "/7",
      headers: { ...forged, trailer: "x-user", "transfer-encoding": "chunked" },
    });
    request.addTrailers({ "x-user": "admin" });
    request.end("body");
    // "response" carries exactly the message.
    const [response] = (await once(request, "response")) as [IncomingMessage];
    let text = "";
    for await (const chunk of response.setEncoding("utf8")) text += chunk;
    expect(response.statusCode).toBe(200);
    expect(text).not.toMatch(/admin|forged/);
  });

  test("and a bad token tell a stranger nothing but that it is bad", async () => {
    await using mesh = await members([filling]);
    const port = mesh.listener.publicPorts[0];
    const answer = await fetch(`http://127.0.0.1:${port}/7?access_token=bad`, { headers: { connection: "close" } });
    expect(answer.status).toBe(401);
    expect(await answer.text()).toBe("Unauthorized\n");
    expect(answer.headers.get("www-authenticate")).toBe(
      `Bearer realm="http://127.0.0.1:${port}/7", error="invalid_token"`,
    );
  });
});

test("a change of policy counts for the next request", async () => {
  const { jwks } = issuer;
  const before = [reviewsPolicy, rules({ issuer: issuer.issuer, jwks })];
  await using mesh = await members(before.slice(1));
  const token = issuer.token({ aud: "orders" });
  expect((await mesh.call(token)).status).toBe(200);
  mesh.reviews.update({
    policies: [reviewsPolicy, rules({ issuer: issuer.issuer, jwks, audiences: ["payments"] })],
    endpoints: {},
  });
  expect(await mesh.call(token)).toMatchObject({ status: 403, code: "TOKEN_AUDIENCE_REFUSED" });
  mesh.reviews.update({ policies: [reviewsPolicy], endpoints: {} });
  expect((await mesh.call("nobody looks at this")).status).toBe(200);
});

test("a handler is told who the user is", async () => {
  const { jwks } = issuer;
  await using reviews = createMesh({
    policies: [reviewsPolicy, rules({ issuer: issuer.issuer, jwks })],
    endpoints: {},
    service: "reviews",
  });
  const app = meshHandler(reviews, (_request, response, visit) => response.end(visit.token?.subject ?? "nobody"));
  const { port } = await reviews.listen(app, { port: 0, host: "127.0.0.1", signals: false });
  const userWith = async (headers: Readonly<Record<string, string>>): Promise<string> =>
    (await fetch(`http://127.0.0.1:${port}/`, { headers: { ...headers, connection: "close" } })).text();
  expect(await userWith({ authorization: `Bearer ${issuer.token({ sub: "ann" })}` })).toBe("ann");
  expect(await userWith({})).toBe("nobody");
});

test("a mesh without certificates checks tokens all the same", async () => {
  const { jwks } = issuer;
  await using reviews = createMesh({
    policies: [reviewsPolicy, { ...rules({ issuer: issuer.issuer, jwks }), mtls: { mode: "strict" } }],
    endpoints: {},
    service: "reviews",
  });
  const { port } = await reviews.listen(echo, { port: 0, host: "127.0.0.1", signals: false });
  const statusWith = async (token: string): Promise<number> =>
    (
      await fetch(`http://127.0.0.1:${port}/`, {
        headers: { authorization: `Bearer ${token}`, connection: "close" },
      })
    ).status;
  expect(await statusWith(issuer.token())).toBe(200);
  expect(await statusWith("bad")).toBe(401);
});

test("a member that starts while the issuer is down checks tokens with the keys that its state folder kept", async () => {
  const keys = await startKeyServer(published(issuer));
  await using fixture = await startMesh([reviewsPolicy, rules(ruleAt(keys.uri))]);
  const stateDir = await fixture.folder();
  const statusOf = async (): Promise<number> => {
    await using reviews = await fixture.join({ service: "reviews", stateDir });
    const { port } = await reviews.listen(echo, { port: 0, host: "127.0.0.1", signals: false });
    const productpage = await fixture.join({ service: "productpage" });
    const { status } = await productpage.fetch("http://reviews/7", {
      headers: { authorization: `Bearer ${issuer.token()}` },
    });
    await productpage.leave();
    expect(port).toBeGreaterThan(0);
    return status;
  };
  expect(await statusOf()).toBe(200);
  await keys[Symbol.asyncDispose]();
  const kept = join(stateDir, "member-0", "jwks.json");
  expect(await readFile(kept, "utf8")).toContain("key-1");
  expect((await stat(kept)).mode & 0o777).toBe(0o600);
  expect(await statusOf()).toBe(200);
});
