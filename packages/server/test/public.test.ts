import type { AccessPolicy, InboundSnapshot } from "@tulle/policy";
import { createTestAuthority } from "@tulle/testing";
import { constant, Watchable } from "@tulle/time";
import { expect, test } from "vitest";
import { call, inbound, testServer } from "./fixtures.ts";
import { recordTelemetry } from "./telemetry.ts";

const peersOnly: AccessPolicy = {
  kind: "Access",
  name: "admin-for-peers",
  action: "deny",
  rules: [{ name: "strangers", from: [{ notPrincipals: ["*"] }], to: [{ paths: ["/admin"] }] }],
};

test("a public listener beside a strict port asks for no identity, and Access applies to callers without one", async () => {
  const telemetry = recordTelemetry();
  const authority = await createTestAuthority();
  const own = await authority.issue({ serviceAccount: "productpage", dnsNames: ["localhost"] });
  const server = testServer({ inbound: constant(inbound("strict", [peersOnly])), credentials: constant(own) });
  const listener = await server.listen((_request, response) => response.end("page"), {
    port: 0,
    host: "127.0.0.1",
    public: [{ port: 0 }, { port: 0, tls: { cert: own.certificateChain, key: own.privateKey } }],
  });
  const [plain, secure] = listener.publicPorts;
  expect(await call(plain!)).toMatchObject({ status: 200, body: "page" });
  expect(await call(secure!, { tls: true })).toMatchObject({ status: 200, body: "page" });
  expect(await call(plain!, { path: "/admin" })).toMatchObject({ status: 403, body: "Forbidden\n" });
  expect(await call(plain!, { path: "//admin" })).toMatchObject({ status: 403 });
  expect(await call(listener.port, { path: "/admin", as: await authority.issue() })).toMatchObject({ status: 200 });
  await expect(call(listener.port)).rejects.toMatchObject({ code: "ECONNRESET" });
  expect(
    (await telemetry.points("tulle.server.refusals")).map((point) => point.attributes["tulle.error.code"]),
  ).toEqual(["ACCESS_DENIED", "PLAINTEXT_REFUSED"]);
});

test("a certificate shown to a public listener gives no identity", async () => {
  const authority = await createTestAuthority();
  const own = await authority.issue({ serviceAccount: "productpage" });
  const server = testServer({ inbound: constant(inbound("strict", [peersOnly])), credentials: constant(own) });
  const listener = await server.listen((_request, response) => response.end("page"), {
    port: 0,
    host: "127.0.0.1",
    public: [{ port: 0, tls: { cert: own.certificateChain, key: own.privateKey } }],
  });
  const answer = await call(listener.publicPorts[0]!, { path: "/admin", as: await authority.issue() });
  expect(answer.status).toBe(403);
});

test("the health port says what is missing, and answers nothing else", async () => {
  const authority = await createTestAuthority();
  const policy = new Watchable<InboundSnapshot | undefined>(undefined);
  const credentials = new Watchable<Awaited<ReturnType<typeof authority.issue>> | undefined>(undefined);
  const server = testServer({ inbound: policy, credentials });
  const listener = await server.listen((_request, response) => response.end(), {
    port: 0,
    host: "127.0.0.1",
    health: { port: 0, host: "127.0.0.1" },
  });
  const ready = async () => {
    const { status, body } = await call(listener.healthPort!, { path: "/readyz" });
    return [status, JSON.parse(body)];
  };
  expect(await ready()).toEqual([503, { status: "not ready", reason: "no inbound policy yet" }]);
  policy.set(inbound("strict"));
  expect(await ready()).toEqual([503, { status: "not ready", reason: "no certificate yet" }]);
  credentials.set(await authority.issue());
  expect(await ready()).toEqual([200, { status: "ready" }]);
  expect(await call(listener.healthPort!, { path: "/healthz?verbose" })).toMatchObject({
    status: 200,
    body: '{"status":"alive"}',
  });
  expect((await call(listener.healthPort!, { path: "/" })).status).toBe(404);
  expect((await call(listener.healthPort!, { path: "/healthz", method: "POST" })).status).toBe(405);
});
