import type {
  AccessCondition,
  AccessOperation,
  AccessPolicy,
  AccessSource,
  Credentials,
  MtlsMode,
} from "@tulle/policy";
import { createTestAuthority } from "@tulle/testing";
import { constant } from "@tulle/time";
import { beforeAll, describe, expect, test } from "vitest";
import { call, inbound, testServer } from "./fixtures.ts";

// What access rules see of real connections. Each rule allows alone, so an attribute that is not there refuses.

let own: Credentials;
let peer: Credentials;

beforeAll(async () => {
  const authority = await createTestAuthority();
  own = await authority.issue({ serviceAccount: "reviews" });
  peer = await authority.issue({ serviceAccount: "productpage", namespace: "shop" });
});

interface Rule {
  readonly from?: AccessSource;
  readonly to?: AccessOperation;
  readonly when?: AccessCondition;
}

const listening = async (rule: (port: number) => Rule, mtls: MtlsMode = "permissive", trustedProxies = 0) => {
  const taken = testServer();
  const { port, close } = await taken.listen(() => undefined, { port: 0, host: "127.0.0.1" });
  await close();
  const { from, to, when } = rule(port);
  const access: AccessPolicy = {
    kind: "Access",
    name: "one",
    rules: [
      {
        ...(from === undefined ? {} : { from: [from] }),
        ...(to === undefined ? {} : { to: [to] }),
        ...(when === undefined ? {} : { when: [when] }),
      },
    ],
  };
  const snapshot = inbound(mtls, [access]);
  const server = testServer({
    inbound: constant({ ...snapshot, mesh: { ...snapshot.mesh, trustedProxies } }),
    credentials: constant(own),
  });
  await server.listen((_request, response) => response.end(), { port, host: "127.0.0.1" });
  return port;
};

const statusOf = async (rule: Rule | ((port: number) => Rule), options: Parameters<typeof call>[1] = {}) => {
  const port = await listening(typeof rule === "function" ? rule : () => rule);
  return (await call(port, options)).status;
};

describe("a rule sees of a caller over mTLS", () => {
  test.each<[string, AccessSource]>([
    ["its principal", { principals: ["cluster.local/ns/shop/sa/productpage"] }],
    ["its namespace", { namespaces: ["shop"] }],
    ["its service account, with its namespace", { serviceAccounts: ["shop/productpage"] }],
    ["its trust domain", { trustDomains: ["cluster.local"] }],
    ["where it comes from", { addresses: ["127.0.0.0/8"] }],
  ])("%s", async (_what, from) => {
    expect(await statusOf({ from }, { as: peer })).toBe(200);
  });

  test.each<[string, AccessSource]>([
    ["another principal", { principals: ["cluster.local/ns/default/sa/productpage"] }],
    ["a service account of the policy's own namespace", { serviceAccounts: ["productpage"] }],
    ["another network", { addresses: ["10.0.0.0/8", "::/8"] }],
    ["a token that it did not bring", { requestPrincipals: ["*"] }],
  ])("and not %s", async (_what, from) => {
    expect(await statusOf({ from }, { as: peer })).toBe(403);
  });

  test("the name by which it began TLS", async () => {
    const when = { key: "connection.sni", values: ["*.example"] };
    expect(await statusOf({ when }, { as: peer, servername: "reviews.example" })).toBe(200);
    expect(await statusOf({ when }, { as: peer, servername: "reviews.other" })).toBe(403);
    expect(await statusOf({ when })).toBe(403);
  });
});

test("a caller in plaintext has no identity, and fits what is asked for by not", async () => {
  expect(await statusOf({ from: { principals: ["*"] } })).toBe(403);
  expect(await statusOf({ from: { notPrincipals: ["*"] } })).toBe(200);
  expect(await statusOf({ from: { notPrincipals: ["*"] } }, { as: peer })).toBe(403);
});

test("a rule sees the port and the address that the connection came to", async () => {
  expect(await statusOf((port) => ({ to: { ports: [port] } }))).toBe(200);
  expect(await statusOf((port) => ({ to: { notPorts: [port] } }))).toBe(403);
  expect(await statusOf((port) => ({ when: { key: "destination.port", values: [`${port}`] } }))).toBe(200);
  expect(await statusOf({ when: { key: "destination.ip", values: ["127.0.0.1"] } })).toBe(200);
  expect(await statusOf({ when: { key: "destination.ip", notValues: ["127.0.0.1"] } })).toBe(403);
});

test("a rule sees the host as the caller wrote it, without case and with its port", async () => {
  const to = { hosts: ["Reviews.example", "*.shop:8080"] };
  expect(await statusOf({ to }, { headers: { host: "reviews.EXAMPLE" } })).toBe(200);
  expect(await statusOf({ to }, { headers: { host: "a.shop:8080" } })).toBe(200);
  expect(await statusOf({ to }, { headers: { host: "reviews.example:80" } })).toBe(403);
});

test("a rule sees headers, but not those that strangers may not say", async () => {
  const when = (name: string) => ({ key: `request.headers[${name}]`, values: ["*"] });
  expect(await statusOf({ when: when("X-Team") }, { headers: { "x-team": "a" } })).toBe(200);
  expect(await statusOf({ when: when("x-team") })).toBe(403);
  expect(await statusOf({ when: when("tulle-first-sent") }, { headers: { "tulle-first-sent": "1" } })).toBe(403);
  expect(await statusOf({ when: when("x-envoy-attempt-count") }, { headers: { "x-envoy-attempt-count": "1" } })).toBe(
    403,
  );
});

test("x-forwarded-for is believed only as far as proxies are trusted", async () => {
  const rule = (): Rule => ({ from: { remoteAddresses: ["10.1.0.0/16"] } });
  const headers = { "x-forwarded-for": "10.1.2.3, 10.9.9.9" };
  const status = async (trustedProxies: number) =>
    (await call(await listening(rule, "permissive", trustedProxies), { headers })).status;
  expect(await status(0)).toBe(403);
  expect(await status(1)).toBe(403);
  expect(await status(2)).toBe(200);
  expect(await status(3)).toBe(403);
});
