import type { Endpoint, MeshPolicy, RoutePolicy, ServicePolicy } from "@tulle/policy";
import type { ResourceValue } from "@tulle/protocol";
import { createTestAuthority, seededRandom, type TestAuthority } from "@tulle/testing";
import { systemClock } from "@tulle/time";
import { afterEach, beforeAll, beforeEach } from "vitest";
import { type Agent, createAgent } from "../src/agent.ts";
import type { AgentOptions } from "../src/agent-options.ts";
import { FakeConfigServer, type FakeMember } from "./fake-config-server.ts";

export const mesh: MeshPolicy = { kind: "Mesh", name: "mesh" };
export const service = (name: string): ServicePolicy => ({ kind: "Service", name });
export const route = (name: string): RoutePolicy => ({
  kind: "Route",
  name,
  namespace: "default",
  services: ["reviews"],
  rules: [{}],
});
export const endpoint = (id: string, port: number): Endpoint => ({
  id,
  address: "127.0.0.1",
  port,
  transport: "mtls",
  labels: {},
  health: "healthy",
  serviceAccount: "reviews",
});
export const reviews = (...routes: readonly RoutePolicy[]): ResourceValue => ({
  key: "default/reviews",
  policy: service("reviews"),
  routes,
});
export const policies: Readonly<Record<string, ResourceValue>> = {
  mesh,
  "names/-": { names: [{ key: "default/reviews" }, { key: "default/productpage" }] },
  "service/default/reviews": reviews(route("reviews")),
  "inbound/default/productpage": { service: service("productpage"), access: [], authentication: [] },
};
export const endpoints: Readonly<Record<string, ResourceValue>> = {
  "endpoints/default/reviews/-": { endpoints: [endpoint("r1", 1), endpoint("r2", 2)] },
};

/** A scripted config-server and the members that a test makes, all ended after it. */
export interface MemberFixture {
  readonly authority: TestAuthority;
  readonly server: FakeConfigServer;
  /** What the members logged, in order. */
  readonly logged: string[];
  /** A member that has not started. */
  member(options?: Partial<AgentOptions>): Agent;
  /** A member that has joined a server which said everything. */
  joined(options?: Partial<AgentOptions>): Promise<Agent>;
  /** Says all three streams in full. */
  sayAll(to: FakeMember): void;
  /** Ends the server; another one takes its port. */
  restartServer(): Promise<void>;
}

export const useMembers = (): MemberFixture => {
  let authority: TestAuthority;
  let server: FakeConfigServer;
  const agents: Agent[] = [];
  const logged: string[] = [];
  const log = (line: string): void => void logged.push(line);

  const fixture: MemberFixture = {
    get authority() {
      return authority;
    },
    get server() {
      return server;
    },
    logged,
    member: (options = {}) => {
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
    },
    joined: async (options) => {
      server.script.onHello = (from) => {
        from.say(server.welcome());
        fixture.sayAll(from);
      };
      const agent = fixture.member(options);
      agent.start();
      await agent.ready(5_000);
      return agent;
    },
    sayAll: (to) => {
      const bundle = { "bundle/cluster.local": authority.bundle };
      to.transact({ stream: "trust", revision: "e.1", full: true, upserts: bundle });
      to.transact({ stream: "endpoints", revision: "e.1", full: true, upserts: endpoints });
      to.transact({ stream: "policy", revision: "e.1", full: true, upserts: policies });
    },
    restartServer: async () => {
      const { port } = server;
      await server.stop();
      server = await FakeConfigServer.start(authority, port);
    },
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
  return fixture;
};
