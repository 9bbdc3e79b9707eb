import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { ApplyRequest, MemberStatus, Revision } from "@tulle/protocol";
import { FakeClock } from "@tulle/testing";
import { request } from "undici";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { AuditEvent, AuditLog } from "../audit/audit-log.ts";
import { openFederation } from "../authority/federation.ts";
import { memoryKeyStore } from "../authority/key-store.ts";
import { openAuthority } from "../authority/open-authority.ts";
import { openRevocations } from "../authority/revocations.ts";
import { openJoinTokens } from "../enrollment/join-token.ts";
import type { Members } from "../push/members.ts";
import { MemoryStore } from "../store/memory-store.ts";
import type { PolicyStore } from "../store/policy-store.ts";
import { openPolicyStore } from "../store/revisioned-policy-store.ts";
import { createAdminHandler } from "./admin-handler.ts";
import { openAdminTokens } from "./admin-tokens.ts";
import { createPolicyAdmission } from "./policy-admission.ts";
import { MAX_ADMIN_BODY_BYTES } from "./read-body.ts";
import { adminRoutes } from "./routes.ts";

const TOKEN = "the-admin-token";
const trustDomain = "cluster.local";

const member: MemberStatus = {
  id: "reviews-1",
  service: "default/reviews",
  spiffeId: "spiffe://cluster.local/ns/default/sa/reviews",
  labels: {},
  software: "tulle/0.1.0",
  features: ["gzip"],
  protocol: 1,
  connected: true,
  sinceMs: 0,
  revisions: {},
  refusals: {},
  subscriptions: [],
};

const reviews = { kind: "Service", name: "reviews", subsets: { v1: { version: "v1" }, v2: { version: "v2" } } };
const split = (v1: number) => ({
  kind: "Route",
  name: "reviews",
  services: ["reviews"],
  rules: [
    {
      match: [{ headers: { cookie: { regex: "user=[a-z]+" } } }],
      split: [
        { subset: "v1", weight: v1 },
        { subset: "v2", weight: 100 - v1 },
      ],
    },
  ],
});

interface Answer {
  readonly status: number;
  // Answers of every shape are compared to what is expected.
  readonly body: unknown;
  readonly headers: Readonly<Record<string, unknown>>;
}

interface Asking {
  readonly token?: string;
  readonly type?: string;
  readonly body?: unknown;
  readonly raw?: string;
}

let ask: (method: string, path: string, asking?: Asking) => Promise<Answer>;
let policyStore: PolicyStore;
let events: AuditEvent[];
let grace: boolean;
/** The position of the trust stream that the member acknowledged; "t.1" is the present one. */
let seen: Revision;
let close: () => Promise<void>;

beforeEach(async () => {
  const clock = new FakeClock();
  const store = new MemoryStore(clock);
  policyStore = await openPolicyStore(store, clock);
  events = [];
  const members: Members = {
    list: () => [{ ...member, revisions: { trust: seen } }],
    acknowledgement: async (revision) => ({
      revision,
      complete: true,
      acknowledged: [member.id],
      refused: [],
      pending: [],
    }),
    plaintextCallers: () => [],
    renew: (id) => [id ?? member.id],
  };
  const authority = await openAuthority({ keyStore: memoryKeyStore(), trustDomain, clock });
  const revocations = await openRevocations({ store, clock, trustDomain, longestLeafMs: () => 86_400_000 });
  grace = false;
  seen = "t.0";
  const audit: AuditLog = { record: async (event) => void events.push(event), close: async () => undefined };
  const adminTokens = openAdminTokens({ store, clock, root: TOKEN, keep: async () => undefined });
  const routes = adminRoutes({
    trustDomain,
    policyStore,
    admission: createPolicyAdmission({
      policyStore,
      trustDomain,
      audit,
      endpoints: () => ({ services: [] }),
      members: () => members.list(),
      plaintextCallers: () => [],
      wallNow: () => clock.wallNow(),
    }),
    members,
    tokens: await openJoinTokens({ store, keyStore: memoryKeyStore(), trustDomain, pins: () => authority.pins, clock }),
    adminTokens,
    audit,
    federation: await openFederation({ store, clock, trustDomain, ownRoots: () => authority.bundle.roots }),
    certificates: { authority, revocations, clock, trustRevision: async () => "t.1", inStartGrace: () => grace },
    wallNow: () => clock.wallNow(),
    endpoints: () => ({ services: [] }),
    status: () => ({
      software: "tulle/0.1.0",
      revision: policyStore.head.current.revision,
      trustDomain,
      members: 1,
      inStartGrace: false,
      counters: {},
    }),
  });
  const errors: unknown[] = [];
  const server = createServer(
    createAdminHandler({
      routes,
      tokens: adminTokens,
      hosts: ["127.0.0.1"],
      audit,
      onError: (error) => errors.push(error),
    }),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  // A server that listens on a port has an address object.
  const { port } = server.address() as AddressInfo;
  ask = async (method, path, { token = TOKEN, type = "application/json", body, raw } = {}) => {
    const text = raw ?? (body === undefined ? undefined : JSON.stringify(body));
    const reply = await request(`http://127.0.0.1:${port}${path}`, {
      method: method as "GET", // Any method: some rows send wrong ones.
      headers: {
        ...(token === "" ? {} : { authorization: `Bearer ${token}` }),
        ...(text === undefined || type === "" ? {} : { "content-type": type }),
      },
      ...(text === undefined ? {} : { body: text }),
    });
    const answer = await reply.body.text();
    return {
      status: reply.statusCode,
      headers: reply.headers,
      body: answer === "" ? undefined : JSON.parse(answer),
    };
  };
  close = async () => {
    server.closeAllConnections();
    server.close();
    await policyStore.close();
    expect(errors).toEqual([]);
  };
});

afterEach(() => close());

const apply = (policies: readonly unknown[], rest: Partial<ApplyRequest> = {}): Promise<Answer> =>
  ask("POST", "/v1/apply", { body: { policies, ...rest } });

const revisionOf = (answer: Answer): Revision => (answer.body as { revision: Revision }).revision;

describe("applying", () => {
  test("is one revision for all policies, audited, and none when nothing changes", async () => {
    const first = await apply([reviews, split(80)]);
    expect(first).toMatchObject({
      status: 200,
      body: {
        changes: [
          { key: "Service/default/reviews", change: "created" },
          { key: "Route/default/reviews", change: "created" },
        ],
        warnings: [],
      },
    });
    const second = await apply([reviews, split(80)]);
    expect(revisionOf(second)).toBe(revisionOf(first));
    expect(events[0]).toEqual({
      event: "policies-applied",
      actor: "admin",
      detail: {
        revision: revisionOf(first),
        changed: 2,
        first: "Service/default/reviews Route/default/reviews",
        message: "",
      },
    });
  });

  test("proves regular expressions; what is read back carries no proof and can be applied again", async () => {
    const first = await apply([reviews, split(80)]);
    expect(JSON.stringify([...policyStore.head.current.policies.values()])).toContain('"linear":true');
    const { body } = await ask("GET", "/v1/policies");
    const { policies } = body as { policies: readonly unknown[] };
    expect(policies).toEqual([split(80), reviews]);
    expect(revisionOf(await apply(policies))).toBe(revisionOf(first));
  });

  test("a dry run tells what would change and changes nothing", async () => {
    const before = policyStore.head.current.revision;
    expect(await apply([reviews], { dryRun: true })).toMatchObject({
      status: 200,
      body: { revision: before, changes: [{ key: "Service/default/reviews", change: "created" }] },
    });
    expect(policyStore.head.current.revision).toBe(before);
    expect(await apply([split(80)], { dryRun: true })).toMatchObject({ status: 422 });
    expect(events).toEqual([]);
  });

  test("prune deletes what is not named, within the namespaces that are", async () => {
    await apply([reviews, split(80), { kind: "Service", name: "elsewhere", namespace: "other" }]);
    expect(await apply([reviews], { prune: true })).toMatchObject({
      body: { changes: [{ key: "Route/default/reviews", change: "deleted" }, { change: "unchanged" }] },
    });
    expect([...policyStore.head.current.policies.keys()]).toEqual([
      "Service/default/reviews",
      "Service/other/elsewhere",
    ]);
  });

  test("a rollback makes an earlier content a new revision", async () => {
    const first = revisionOf(await apply([reviews, split(80)]));
    await apply([split(50), { kind: "Service", name: "ratings" }]);
    const third = await ask("POST", "/v1/rollback", { body: { revision: first } });
    expect(third).toMatchObject({
      status: 200,
      body: {
        changes: expect.arrayContaining([
          { key: "Service/default/ratings", change: "deleted" },
          { key: "Route/default/reviews", change: "updated" },
        ]),
      },
    });
    expect(revisionOf(third)).not.toBe(first);
    const history = await ask("GET", "/v1/history?limit=1");
    expect(history.body).toMatchObject({
      entries: [{ revision: revisionOf(third), message: `roll back to ${first}` }],
    });
  });
});

test("policies are found by kind, namespace and name", async () => {
  await apply([reviews, split(80), { kind: "Service", name: "ratings", namespace: "other" }]);
  const names = async (query: string) =>
    ((await ask("GET", `/v1/policies${query}`)).body as { policies: { name: string }[] }).policies.map(
      ({ name }) => name,
    );
  expect(await names("?kind=Service")).toEqual(["reviews", "ratings"]);
  expect(await names("?namespace=other")).toEqual(["ratings"]);
  expect(await names("?kind=Route&name=reviews")).toEqual(["reviews"]);
  expect(await names("?name=nobody")).toEqual([]);
});

test("tokens are made, listed and revoked", async () => {
  const made = await ask("POST", "/v1/tokens", { body: { serviceAccount: "reviews", uses: "multi", ttl: "5m" } });
  expect(made).toMatchObject({ status: 200, body: { expiresAtMs: 1_700_000_300_000 } });
  const { id } = made.body as { id: string };
  expect(await ask("DELETE", `/v1/tokens/${id}`)).toMatchObject({ status: 204, body: undefined });
  expect((await ask("GET", "/v1/tokens")).body).toEqual({
    tokens: [
      {
        id,
        namespace: "default",
        serviceAccount: "reviews",
        uses: "multi",
        expiresAtMs: 1_700_000_300_000,
        state: "revoked",
      },
    ],
  });
  expect(events.map(({ event }) => event)).toEqual(["token-created", "token-revoked"]);
  expect(JSON.stringify(events)).not.toContain((made.body as { token: string }).token);
});

test("members, endpoints, acknowledgements, renewals and status are told", async () => {
  const revision = revisionOf(await apply([reviews]));
  expect((await ask("GET", "/v1/members")).body).toEqual({
    revision,
    members: [{ ...member, revisions: { trust: seen } }],
  });
  expect((await ask("GET", "/v1/endpoints")).body).toEqual({ services: [] });
  expect((await ask("GET", `/v1/revisions/${revision}/acknowledgement?timeout=1s`)).body).toMatchObject({
    revision,
    acknowledged: ["reviews-1"],
  });
  expect((await ask("GET", "/v1/revisions/1/acknowledgement")).body).toMatchObject({ revision });
  expect((await ask("POST", "/v1/certificates/renew", { body: {} })).body).toEqual({ asked: ["reviews-1"] });
  expect((await ask("GET", "/v1/status")).body).toMatchObject({ revision, trustDomain });
});

test("the root is rotated step by step, each of which waits for those whom it would cut off", async () => {
  const rotate = (step: string, body: object = {}) => ask("POST", `/v1/certificates/rotation/${step}`, { body });
  expect((await ask("GET", "/v1/certificates/rotation")).body).toMatchObject({
    phase: "none",
    heldBackBy: [],
    warnings: [],
  });
  expect(await rotate("prepare")).toMatchObject({ status: 200, body: { phase: "prepared" } });
  expect(await rotate("activate")).toMatchObject({ status: 409, body: { error: "rotation-order" } });
  expect(await rotate("distribute")).toMatchObject({
    body: {
      phase: "distributing",
      heldBackBy: [{ member: "reviews-1", reason: "has not acknowledged the new root yet" }],
    },
  });
  expect(await rotate("activate")).toMatchObject({
    status: 409,
    body: { error: "rotation-held-back", message: expect.stringContaining("reviews-1 has not acknowledged") },
  });
  seen = "t.1";
  grace = true;
  expect(await rotate("activate")).toMatchObject({
    status: 409,
    body: { message: expect.stringContaining("does not know yet who is alive") },
  });
  grace = false;
  expect(await rotate("activate")).toMatchObject({ body: { phase: "activated" } });
  expect(await rotate("retire")).toMatchObject({ status: 409, body: { error: "rotation-held-back" } });
  expect(await rotate("retire", { force: true })).toMatchObject({ body: { phase: "none" } });
  expect(await rotate("bogus")).toMatchObject({ status: 404, body: { error: "unknown-step" } });
  expect(events.map(({ event, detail }) => `${event} ${detail.step}`)).toEqual([
    "root-rotated prepare",
    "root-rotation-refused activate",
    "root-rotated distribute",
    "root-rotation-refused activate",
    "root-rotation-refused activate",
    "root-rotated activate",
    "root-rotation-refused retire",
    "root-rotated retire",
  ]);
});

test("the health check asks for no token", async () => {
  expect(await ask("GET", "/healthz", { token: "" })).toMatchObject({ status: 200, body: { status: "serving" } });
});

describe("bad input", () => {
  const missingSubset = {
    kind: "Route",
    name: "reviews",
    services: ["reviews"],
    origin: { file: "reviews.yaml", line: 9 },
    rules: [{ split: [{ subset: "v3" }] }],
  };
  const tokenBody = (more: object): Asking => ({ body: { serviceAccount: "reviews", ...more } });

  type Row = readonly [title: string, method: string, path: string, asking: Asking, status: number, body: object];
  const rows: readonly Row[] = [
    ["no token", "GET", "/v1/status", { token: "" }, 401, { error: "unauthorized" }],
    ["wrong token", "GET", "/v1/status", { token: "guess" }, 401, { error: "unauthorized" }],
    ["a token and more", "GET", "/v1/status", { token: `${TOKEN}x` }, 401, { error: "unauthorized" }],
    ["unknown path without a token", "GET", "/v1/nothing", { token: "" }, 401, { error: "unauthorized" }],
    ["unknown path", "GET", "/v1/nothing", {}, 404, { error: "not-found" }],
    ["wrong method", "PUT", "/v1/apply", {}, 405, { message: "/v1/apply takes POST, not PUT" }],
    ["wrong method of two", "PUT", "/v1/tokens", {}, 405, { message: "/v1/tokens takes POST, GET, not PUT" }],
    ["no content type", "POST", "/v1/apply", { raw: "{}", type: "" }, 415, { error: "unsupported-media-type" }],
    ["a form", "POST", "/v1/apply", { raw: "a=b", type: "text/plain" }, 415, { error: "unsupported-media-type" }],
    ["bad JSON", "POST", "/v1/apply", { raw: "{" }, 400, { error: "bad-json" }],
    ["a list", "POST", "/v1/apply", { body: [] }, 400, { error: "bad-request" }],
    ["no policies", "POST", "/v1/apply", { body: {} }, 400, { message: expect.stringContaining("policies: ") }],
    [
      "an unknown field",
      "POST",
      "/v1/apply",
      { body: { policies: [], dryrun: true } },
      400,
      { message: expect.stringContaining("dryrun") },
    ],
    [
      "a body that is too large",
      "POST",
      "/v1/apply",
      { raw: `"${"x".repeat(MAX_ADMIN_BODY_BYTES)}"` },
      413,
      { error: "too-large" },
    ],
    [
      "an unknown kind",
      "POST",
      "/v1/apply",
      { body: { policies: [{ kind: "Servise", name: "x" }] } },
      422,
      { error: "invalid-policies", problems: [{ path: "kind", suggestion: '"Service"' }] },
    ],
    [
      "a missing subset",
      "POST",
      "/v1/apply",
      { body: { policies: [reviews, missingSubset, { kind: "Service", name: "ratings" }] } },
      422,
      {
        problems: [
          {
            policy: "Route/default/reviews",
            path: "rules[0].split[0].subset",
            origin: { file: "reviews.yaml", line: 9 },
          },
        ],
      },
    ],
    [
      "a pattern that RE2 cannot express",
      "POST",
      "/v1/apply",
      {
        body: {
          policies: [reviews, { ...missingSubset, rules: [{ match: [{ path: { regex: "(?=a)" } }] }] }],
        },
      },
      422,
      { problems: [{ path: "rules[0].match[0].path.regex", message: expect.stringContaining("is not RE2") }] },
    ],
    [
      "a proof that nobody made",
      "POST",
      "/v1/apply",
      {
        body: {
          policies: [reviews, { ...missingSubset, rules: [{ match: [{ path: { regex: "(a+)+", linear: true } }] }] }],
        },
      },
      422,
      { problems: [{ path: expect.stringContaining("rules[0].match[0].path") }] },
    ],
    [
      "a policy that is there twice",
      "POST",
      "/v1/apply",
      { body: { policies: [reviews, reviews] } },
      422,
      { problems: [{ message: expect.stringContaining("Service/default/reviews is there twice") }] },
    ],
    [
      "another trust domain",
      "POST",
      "/v1/apply",
      { body: { policies: [{ kind: "Mesh", name: "mesh", trustDomain: "other.test" }] } },
      422,
      { problems: [{ path: "trustDomain", message: expect.stringContaining('"cluster.local"') }] },
    ],
    [
      "something that is not supported yet",
      "POST",
      "/v1/apply",
      { body: { policies: [{ ...reviews, mode: "dry-run" }] } },
      422,
      { problems: [{ path: "mode", message: expect.stringContaining("not supported yet") }] },
    ],
    ["an unknown kind asked for", "GET", "/v1/policies?kind=Pod", {}, 400, { error: "bad-request" }],
    ["an unknown query field", "GET", "/v1/members?x=1", {}, 400, { error: "bad-request" }],
    ["a history of nothing", "GET", "/v1/history?limit=0", {}, 400, { error: "bad-request" }],
    ["delete: no keys", "POST", "/v1/delete", { body: { keys: [] } }, 400, { error: "bad-request" }],
    [
      "delete: what is not there",
      "POST",
      "/v1/delete",
      { body: { keys: [{ kind: "Route", name: "nobody" }] } },
      404,
      { error: "unknown-policy", message: "there is no Route/default/nobody" },
    ],
    [
      "delete: what a route needs",
      "POST",
      "/v1/delete",
      { body: { keys: [{ kind: "Service", name: "reviews" }] } },
      422,
      { problems: [expect.objectContaining({ policy: "Route/default/reviews" })] },
    ],
    ["rollback: unknown", "POST", "/v1/rollback", { body: { revision: "99" } }, 404, { error: "unknown-revision" }],
    [
      "rollback: another epoch",
      "POST",
      "/v1/rollback",
      { body: { revision: "x.1" } },
      404,
      { error: "unknown-revision" },
    ],
    ["acknowledgement: unknown", "GET", "/v1/revisions/99/acknowledgement", {}, 404, { error: "unknown-revision" }],
    [
      "acknowledgement: too patient",
      "GET",
      "/v1/revisions/1/acknowledgement?timeout=1h",
      {},
      400,
      { message: expect.stringContaining("0s to 5m") },
    ],
    [
      "token: no account",
      "POST",
      "/v1/tokens",
      { body: {} },
      400,
      { message: expect.stringContaining("serviceAccount") },
    ],
    ["token: bad account", "POST", "/v1/tokens", { body: { serviceAccount: "a/b" } }, 400, { error: "bad-request" }],
    [
      "token: too long a life",
      "POST",
      "/v1/tokens",
      tokenBody({ ttl: "577h" }),
      400,
      { message: expect.stringContaining("1s to 576h") },
    ],
    ["token: no life", "POST", "/v1/tokens", tokenBody({ ttl: "0s" }), 400, { error: "bad-request" }],
    ["token: unknown uses", "POST", "/v1/tokens", tokenBody({ uses: "twice" }), 400, { error: "bad-request" }],
    [
      "token: the config-server's own identity",
      "POST",
      "/v1/tokens",
      { body: { namespace: "tulle-system", serviceAccount: "config-server" } },
      400,
      { message: expect.stringContaining("own identity") },
    ],
    ["token: unknown id", "DELETE", "/v1/tokens/nobody", {}, 404, { error: "unknown-token" }],
    [
      "renew: unknown member",
      "POST",
      "/v1/certificates/renew",
      { body: { member: "nobody" } },
      404,
      { error: "unknown-member" },
    ],
  ];

  test.each(rows)("%s: %s %s", async (_, method, path, asking, status, body) => {
    await apply([reviews, split(80)]);
    const { revision } = policyStore.head.current;
    expect(await ask(method, path, asking)).toMatchObject({ status, body });
    expect(policyStore.head.current.revision).toBe(revision);
    // Who is not let in leaves a line; who is let in and asks for nonsense has changed nothing.
    const refused = status === 401 ? [expect.objectContaining({ event: "admin-refused" })] : [];
    expect(events.slice(1)).toEqual(refused);
  });
});
