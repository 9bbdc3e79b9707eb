import type { AccessPolicy, Credentials, InboundSnapshot } from "@tulle/policy";
import { createTestAuthority, type TestAuthority } from "@tulle/testing";
import { constant } from "@tulle/time";
import { beforeAll, expect, test } from "vitest";
import { call, inbound, testServer } from "./fixtures.ts";

let authority: TestAuthority;
let own: Credentials;
let peer: Credentials;

beforeAll(async () => {
  authority = await createTestAuthority();
  own = await authority.issue({ serviceAccount: "reviews" });
  peer = await authority.issue({ serviceAccount: "productpage" });
});

const portOf = async (policy: InboundSnapshot | undefined): Promise<number> => {
  const server = testServer({ inbound: constant(policy), credentials: constant(own) });
  return (await server.listen((_request, response) => response.end("ok"), { port: 0, host: "127.0.0.1" })).port;
};

const denyWrites: AccessPolicy = {
  kind: "Access",
  name: "read-only",
  action: "deny",
  rules: [{ name: "writes", to: [{ methods: ["POST"] }] }],
};

test("a peer is told code, policy and rule, and not to try elsewhere", async () => {
  const answer = await call(await portOf(inbound("strict", [denyWrites])), { as: peer, method: "POST", body: "x" });
  expect(answer.status).toBe(403);
  expect(answer.headers["content-type"]).toBe("application/json");
  expect(answer.headers).not.toHaveProperty("tulle-refused");
  expect(JSON.parse(answer.body)).toEqual({
    code: "ACCESS_DENIED",
    message: "Access/default/read-only rule writes denies POST / to spiffe://cluster.local/ns/default/sa/productpage",
    policy: "Access/default/read-only",
    rule: "writes",
    docs: "docs/errors.md#access-denied",
  });
});

test("a peer that comes before the first policy is told that nothing was processed", async () => {
  const answer = await call(await portOf(undefined), { as: peer, method: "POST", body: "x" });
  expect(answer).toMatchObject({ status: 503, headers: { "tulle-refused": "unprocessed" } });
  expect(JSON.parse(answer.body)).toMatchObject({ code: "NOT_READY" });
});

test("a peer of another trust domain, though proven, is told no more than a stranger", async () => {
  const other = await createTestAuthority("elsewhere.example");
  const server = testServer({
    inbound: constant(inbound("strict", [denyWrites])),
    credentials: constant({ ...own, bundles: [authority.bundle, other.bundle] }),
  });
  const { port } = await server.listen((_request, response) => response.end("ok"), { port: 0, host: "127.0.0.1" });
  const answer = await call(port, {
    as: await other.issue(),
    method: "POST",
    body: "x",
    headers: { "x-envoy-expected-rq-timeout-ms": "nonsense" },
  });
  expect(answer).toMatchObject({ status: 403, body: "Forbidden\n" });
});

test("a refused HEAD has the length and no body", async () => {
  const answer = await call(
    await portOf(inbound("permissive", [{ ...denyWrites, rules: [{ to: [{ methods: ["HEAD"] }] }] }])),
    {
      method: "HEAD",
    },
  );
  expect(answer).toMatchObject({ status: 403, headers: { "content-length": "10" }, body: "" });
});

test("a refused call with a long body costs its connection, one with a short body does not", async () => {
  const port = await portOf(inbound("strict", [denyWrites]));
  const short = await call(port, {
    as: peer,
    method: "POST",
    body: "x",
    headers: { connection: "keep-alive", "content-length": 1 },
  });
  expect(short.headers.connection).toBe("keep-alive");
  const long = await call(port, {
    as: peer,
    method: "POST",
    headers: { connection: "keep-alive", "content-length": 65_537, expect: "100-continue" },
  }).catch((error: unknown) => error);
  expect(long).toMatchObject({ status: 403, headers: { connection: "close" } });
});
