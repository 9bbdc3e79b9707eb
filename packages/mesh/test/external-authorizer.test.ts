import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { AccessPolicy, AuthorizerPolicy, Policy } from "@tulle/policy";
import { createTestAuthority } from "@tulle/testing";
import { expect, onTestFinished, test } from "vitest";
import { createMesh } from "../src/create-mesh.ts";

// Custom access policies, and a handler's own checks: real calls over mTLS, a real authorizer beside.

const authority = await createTestAuthority();

const stage = async (
  answer: (request: IncomingMessage, response: ServerResponse) => void,
  policies: readonly Policy[],
  authorizer: Partial<AuthorizerPolicy> = {},
) => {
  const heard: string[] = [];
  const outside = createServer((request, response) => {
    heard.push(`${request.method} ${request.url} for ${request.headers.host}`);
    answer(request, response);
  }).listen(0, "127.0.0.1");
  await once(outside, "listening");
  // A server that listens on TCP has such an address.
  const { port } = outside.address() as AddressInfo;
  const handled: string[] = [];
  const reviews = createMesh({
    policies: [
      {
        kind: "Mesh",
        name: "mesh",
        authorizers: { opa: { url: `http://127.0.0.1:${port}`, timeout: "5s", ...authorizer } },
      },
      { kind: "Service", name: "reviews" },
      ...policies,
    ],
    endpoints: {},
    service: "reviews",
    credentials: await authority.issue({ serviceAccount: "reviews" }),
  });
  const listener = await reviews.listen(
    async (request, response) => {
      handled.push(`${request.url} as ${request.headers["x-user"]}`);
      let body = "";
      for await (const chunk of request) body += chunk;
      reviews.visit?.permit?.require(request.headers["x-user"] !== "mallory", "mallory owns nothing");
      response.end(body);
    },
    { port: 0, host: "127.0.0.1", signals: false, public: [{ port: 0, host: "127.0.0.1" }] },
  );
  const page = createMesh({
    policies: [{ kind: "Service", name: "reviews" }],
    endpoints: { reviews: [`127.0.0.1:${listener.port}`] },
    service: "productpage",
    credentials: await authority.issue({ serviceAccount: "productpage" }),
  });
  onTestFinished(async () => {
    await page.leave();
    await reviews.leave();
    outside.closeAllConnections();
    outside.close();
  });
  const call = async (
    path: string,
    init: { method?: string; headers?: Record<string, string>; body?: string } = {},
  ) => {
    const { statusCode, headers, body } = await page.request(`http://reviews${path}`, init);
    return { status: statusCode, headers, body: await body.text() };
  };
  return { call, heard, handled, reviews, listener };
};

const custom: AccessPolicy = {
  kind: "Access",
  name: "admin",
  action: "custom",
  authorizer: "opa",
  rules: [{ to: [{ paths: ["/admin*"] }] }],
};

test("an authorizer is asked about calls that its rules fit, and the body waits for its answer", async () => {
  const { call, heard, handled } = await stage(
    (_request, response) => response.writeHead(200, { "x-user": "jason" }).end(),
    [custom],
    { pathPrefix: "/check", headersToUpstreamOnAllow: ["x-user"] },
  );
  const body = "x".repeat(300_000);
  const answer = await call("/admin?a=b", { method: "POST", body, headers: { "x-user": "forged" } });
  expect([answer.status, answer.body === body]).toEqual([200, true]);
  await call("/other");
  expect(heard).toEqual(["POST /check/admin?a=b for reviews"]);
  expect(handled).toEqual(["/admin?a=b as jason", "/other as undefined"]);
});

test("its refusal is what the caller is told, and it speaks before deny rules do", async () => {
  const deny: AccessPolicy = { kind: "Access", name: "no", action: "deny", rules: [{ to: [{ paths: ["/admin*"] }] }] };
  const { call, handled } = await stage(
    (_request, response) => response.writeHead(302, { location: "/login" }).end("please log in"),
    [custom, deny],
  );
  expect(await call("/admin")).toMatchObject({ status: 302, headers: { location: "/login" }, body: "please log in" });
  expect(handled).toEqual([]);
});

test("rules look at what an authorizer says of a call", async () => {
  const allow: AccessPolicy = {
    kind: "Access",
    name: "jason",
    rules: [{ when: [{ key: "request.headers[x-user]", values: ["jason"] }] }],
  };
  let user = "jason";
  const { call } = await stage(
    (_request, response) => response.writeHead(200, { "x-user": user }).end(),
    [custom, allow],
    {
      headersToUpstreamOnAllow: ["x-user"],
    },
  );
  expect((await call("/admin", { headers: { "x-user": "mallory" } })).status).toBe(200);
  user = "mallory";
  expect((await call("/admin", { headers: { "x-user": "jason" } })).status).toBe(403);
});

test("one that is gone refuses, and peers are told why", async () => {
  const { call, reviews, handled } = await stage((request) => request.socket.destroy(), [custom], {
    statusOnError: 500,
  });
  const answer = await call("/admin");
  expect(answer.status).toBe(500);
  expect(JSON.parse(answer.body)).toMatchObject({
    code: "ACCESS_DENIED",
    message: expect.stringContaining('Access/default/admin rule 0: the authorizer "opa" could not be asked'),
    policy: "Access/default/admin",
  });
  expect(handled).toEqual([]);
  expect(reviews.status.counters.server).toMatchObject({ authorizerFailures: 1, "refused.ACCESS_DENIED": 1 });
});

test("one that says too much has not answered", async () => {
  const { call } = await stage((_request, response) => response.writeHead(403).end(Buffer.alloc(100_000)), [custom]);
  expect(await call("/admin")).toMatchObject({ status: 403, body: expect.stringContaining("longer than 65536 bytes") });
});

test("a custom policy in dry-run asks nobody, and says that it would have", async () => {
  const { call, heard, reviews } = await stage(
    (_request, response) => response.writeHead(403).end(),
    [{ ...custom, mode: "dry-run" }],
  );
  expect((await call("/admin/7")).status).toBe(200);
  expect(heard).toEqual([]);
  expect(reviews.dryRunSamples()).toMatchObject([
    {
      outcome: "ask",
      policy: "Access/default/admin",
      rule: "0",
      method: "GET",
      path: "/admin/7",
      source: "spiffe://cluster.local/ns/default/sa/productpage",
    },
  ]);
});

test("a handler's own check refuses with 403, and tells the reason to peers alone", async () => {
  const { call, reviews, listener } = await stage((_request, response) => response.end(), []);
  const answer = await call("/mine", { headers: { "x-user": "mallory" } });
  expect(answer.status).toBe(403);
  expect(JSON.parse(answer.body)).toMatchObject({
    code: "ACCESS_DENIED",
    message: "the handler denies it: mallory owns nothing",
  });
  expect(reviews.status.counters.server).toMatchObject({ "refused.ACCESS_DENIED": 1 });
  const port = listener.publicPorts[0] ?? 0;
  const stranger = await fetch(`http://127.0.0.1:${port}/mine`, { headers: { "x-user": "mallory" } });
  expect([stranger.status, await stranger.text()]).toEqual([403, "Forbidden\n"]);
});
