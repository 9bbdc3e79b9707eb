import { X509Certificate } from "node:crypto";
import type { Endpoint, MeshPolicy, RoutePolicy, ServicePolicy } from "@tulle/policy";
import type { ResourceValue } from "@tulle/protocol";
import { createTestAuthority, seededRandom, type TestAuthority } from "@tulle/testing";
import { systemClock } from "@tulle/time";
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { type Agent, createAgent } from "../src/agent.ts";
import type { AgentOptions } from "../src/agent-options.ts";
import { pinOf } from "../src/config-server-peer.ts";
import { FakeConfigServer } from "./fake-config-server.ts";

const mesh: MeshPolicy = { kind: "Mesh", name: "mesh" };
const service = (name: string): ServicePolicy => ({ kind: "Service", name });
const route = (name: string): RoutePolicy => ({ kind: "Route", name, services: ["reviews"], rules: [{}] });
const endpoint = (id: string, port: number): Endpoint => ({
  id,
  address: "127.0.0.1",
  port,
  transport: "mtls",
  labels: {},
  health: "healthy",
  serviceAccount: "reviews",
});
const policies: Readonly<Record<string, ResourceValue>> = {
  mesh,
  "names/-": { names: [{ key: "default/reviews" }, { key: "default/productpage" }] },
  "service/default/reviews": { key: "default/reviews", policy: service("reviews"), routes: [route("reviews")] },
  "inbound/default/productpage": { service: service("productpage"), access: [], authentication: [] },
};
const endpoints: Readonly<Record<string, ResourceValue>> = {
  "endpoints/default/reviews/-": { endpoints: [endpoint("r1", 1), endpoint("r2", 2)] },
};

let authority: TestAuthority;
let server: FakeConfigServer;
const agents: Agent[] = [];
const logged: string[] = [];
const log = (line: string): void => void logged.push(line);

const agentFor = (options: Partial<AgentOptions> = {}): Agent => {
  const agent = createAgent({
    server: server.url,
    token: server.token(),
    service: "productpage",
    namespace: "default",
    labels: { version: "v1" },
    instanceId: "productpage-0",
    clock: systemClock,
    random: seededRandom(1),
    logger: { info: log, warn: log, error: log },
    ...options,
  });
  agents.push(agent);
  return agent;
};

const sayAll = (from = server.member): void => {
  from.transact({
    stream: "trust",
    revision: "e.1",
    full: true,
    upserts: { "bundle/cluster.local": authority.bundle },
  });
  from.transact({ stream: "policy", revision: "e.1", full: true, upserts: policies });
  from.transact({ stream: "endpoints", revision: "e.1", full: true, upserts: endpoints });
};

const joined = async (options: Partial<AgentOptions> = {}): Promise<Agent> => {
  server.script.onHello = (from) => {
    from.say(server.welcome());
    sayAll(from);
  };
  const agent = agentFor(options);
  agent.start();
  await agent.ready(5_000);
  return agent;
};

beforeAll(async () => {
  authority = await createTestAuthority();
});

beforeEach(async () => {
  logged.length = 0;
  server = await FakeConfigServer.start(authority);
});

afterEach(async () => {
  await Promise.all(agents.splice(0).map((agent) => agent.leave()));
  await server.stop();
});

describe("joining", () => {
  test("ends with policy, trust and a certificate for a key that was made here", async () => {
    const agent = await joined();
    expect(agent.state.current).toEqual({
      state: "joined",
      server: server.url,
      spiffeId: "spiffe://cluster.local/ns/default/sa/productpage",
    });
    expect(agent.outbound.current).toMatchObject({ revision: "e.1", mesh });
    expect(agent.outbound.current.names.lookup("reviews")).toBe("default/reviews");
    await expect.poll(() => agent.outbound.current.services.get("default/reviews")?.endpoints).toHaveLength(2);
    expect(agent.inbound.current).toMatchObject({ revision: "e.1", service: service("productpage") });
    expect(agent.credentials.current).toMatchObject({
      generation: 1,
      spiffeId: "spiffe://cluster.local/ns/default/sa/productpage",
      bundles: [authority.bundle],
    });
    expect(server.member.authorization).toBe(`Bearer ${server.token()}`);
    expect(server.member.shown).toBeUndefined();
    expect(server.member.hello).toEqual({
      type: "hello",
      protocol: { min: 1, max: 1 },
      features: ["gzip"],
      software: "tulle/0.1.0",
      member: { id: "productpage-0", namespace: "default", service: "productpage", labels: { version: "v1" } },
      held: {
        policy: { revision: null, seen: null, resources: {} },
        endpoints: { revision: null, seen: null, resources: {} },
        trust: { revision: null, seen: null, resources: {} },
      },
      subscriptions: [],
    });
    await expect
      .poll(() => server.member.of("ack").map(({ stream }) => stream))
      .toEqual(["trust", "policy", "endpoints"]);
  });

  test("a root that the token does not pin gets no token, and the refusal names both pins", async () => {
    const other = await createTestAuthority();
    const pin = pinOf(new X509Certificate(other.root));
    const agent = agentFor({ token: server.token(pin) });
    agent.start();
    await expect(agent.ready(5_000)).rejects.toThrow(
      `JOIN_REFUSED: ${server.url} shows a root whose pin is ${pinOf(new X509Certificate(authority.root))}, the join token pins ${pin}`,
    );
    expect(server.upgrades).toEqual([]);
  });

  test("a server that shows the pinned root but no certificate of it gets no token", async () => {
    const other = await createTestAuthority();
    const impostor = await FakeConfigServer.start({ ...other, root: `${other.root}\n${authority.root}` });
    const agent = agentFor({ server: impostor.url, token: server.token() });
    agent.start();
    await expect(agent.ready(5_000)).rejects.toThrow("JOIN_REFUSED");
    expect(impostor.upgrades).toEqual([]);
    await impostor.stop();
  });

  test("a member of the mesh that poses as its config-server gets no token", async () => {
    const impostor = await FakeConfigServer.start(authority, 0, "spiffe://cluster.local/ns/default/sa/reviews");
    const agent = agentFor({ server: impostor.url });
    agent.start();
    await expect(agent.ready(5_000)).rejects.toThrow(
      "its certificate says [spiffe://cluster.local/ns/default/sa/reviews], not spiffe://cluster.local/ns/tulle-system/sa/config-server",
    );
    expect(impostor.upgrades).toEqual([]);
    await impostor.stop();
  });

  test.each([
    [
      "in the upgrade's answer",
      () => {
        server.script.upgradeRefusal = { status: 401, body: '{"code":"token-used","message":"token t1 was used"}' };
      },
      "answered 401: token t1 was used",
    ],
    [
      "in the upgrade's answer without a code",
      () => {
        server.script.upgradeRefusal = { status: 403, body: "go away" };
      },
      "answered 403",
    ],
    [
      "after the hello",
      () => {
        server.script.onHello = (from) => {
          from.say({ type: "refused", code: "identity-mismatch", message: "you are not productpage" });
          from.socket.close(1008);
        };
      },
      "the config-server refused: identity-mismatch: you are not productpage",
    ],
  ])("a lasting refusal %s fails ready at once with the server's reason", async (_where, arrange, reason) => {
    arrange();
    const agent = agentFor();
    agent.start();
    await expect(agent.ready(60_000)).rejects.toThrow(reason);
    await expect(agent.ready(60_000)).rejects.toMatchObject({ code: "JOIN_REFUSED" });
  });

  test("without a token and a certificate nothing is dialled", async () => {
    const agent = createAgent({
      server: server.url,
      service: "productpage",
      namespace: "default",
      labels: {},
      clock: systemClock,
      random: seededRandom(1),
    });
    agents.push(agent);
    agent.start();
    await expect(agent.ready(5_000)).rejects.toThrow("neither a valid certificate nor a join token");
  });

  test("a server that is absent or silent is a timeout that says what is missing", async () => {
    server.script.onHello = (from) => from.say(server.welcome());
    const agent = agentFor();
    agent.start();
    await vi.waitFor(() => expect(agent.counters().renewals).toBe(1));
    await expect(agent.ready(50)).rejects.toThrow(
      `JOIN_TIMEOUT: default/productpage did not become ready within 50 ms; ${server.url} has not sent: policy, trust`,
    );
    expect(agent.state.current.state).toBe("unready");
  });
});
