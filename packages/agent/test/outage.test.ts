import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createTestAuthority, FakeClock } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import { pinOf } from "../src/config-server-peer.ts";
import { FakeConfigServer } from "./fake-config-server.ts";
import { useMembers } from "./member-fixture.ts";

const members = useMembers();

describe("an outage of the config-server", () => {
  test("the member keeps what it holds, comes back by its certificate, and says what it holds", async () => {
    const agent = await members.joined();
    const before = agent.outbound.current;
    await members.restartServer();
    await expect.poll(() => members.server.members[0]?.hello).toBeDefined();
    expect(agent.outbound.current).toBe(before);
    const { member } = members.server;
    expect(member.authorization).toBeUndefined();
    expect(member.shown).toBe("spiffe://cluster.local/ns/default/sa/productpage");
    const { policy, endpoints, trust } = member.hello!.held;
    expect([policy?.revision, endpoints?.revision, trust?.seen]).toEqual(["e.1", "e.1", "e.1"]);
    expect(Object.keys(policy!.resources)).toEqual([
      "mesh",
      "names/-",
      "service/default/reviews",
      "inbound/default/productpage",
    ]);
    await expect.poll(() => agent.state.current.state).toBe("joined");
    expect(member.of("certificate-request")).toEqual([]);
    expect(agent.counters()).toMatchObject({ connections: 2, resourcesReceived: 6 });
  });

  test("the position of a refused policy is said as seen", async () => {
    const agent = await members.joined({
      validate: ({ outbound }) => (outbound.revision === "e.2" ? "no" : undefined),
    });
    members.server.member.transact({ stream: "policy", revision: "e.2" });
    await expect.poll(() => agent.counters().nacks).toBe(1);
    await members.restartServer();
    await expect
      .poll(() => members.server.members[0]?.hello?.held.policy)
      .toMatchObject({ revision: "e.1", seen: "e.2" });
  });

  test("endpoints are registered again, those that drain are withdrawn again, those that are gone are not", async () => {
    const agent = await members.joined();
    const endpoint = { address: "127.0.0.1", port: 9080, transport: "mtls", labels: {} } as const;
    for (const id of ["stays", "drains", "goes"]) await agent.register({ id, ...endpoint });
    await agent.withdraw("drains", "draining");
    await agent.withdraw("goes", "gone");
    await members.restartServer();
    await expect.poll(() => members.server.members[0]?.of("withdraw").length).toBe(1);
    expect(members.server.member.of("register").map((each) => each.endpoint.id)).toEqual(["stays"]);
    expect(members.server.member.of("withdraw")).toMatchObject([{ endpointId: "drains", state: "draining" }]);
  });

  test("what is registered meanwhile settles at once and is told at the next connection", async () => {
    const agent = await members.joined();
    const { port } = members.server;
    await members.server.stop();
    await expect.poll(() => agent.state.current.state).toBe("disconnected");
    await agent.register({ id: "late", address: "127.0.0.1", port, transport: "mtls", labels: {} });
    await members.restartServer();
    await expect.poll(() => members.server.members[0]?.of("register").length).toBe(1);
  });

  const early = { id: "x", address: "127.0.0.1", port: 1, transport: "mtls", labels: {} } as const;

  test("a registration that is not allowed says why and what helps, and is told again when the policy changes", async () => {
    const agent = await members.joined();
    const { server } = members;
    server.script.onRequest = (from, { id }) =>
      from.say({ type: "refused", id, code: "not-allowed", message: "there is no Service policy" });
    await expect(agent.register(early)).rejects.toThrow(
      "JOIN_REFUSED: the config-server refused to register x for default/productpage: not-allowed: there is no Service policy; " +
        "apply a Service policy named productpage that lists the service account productpage, " +
        "such as { kind: Service, name: productpage, serviceAccounts: [productpage] }",
    );
    server.member.transact({ stream: "endpoints", revision: "e.2", removals: ["endpoints/default/reviews/-"] });
    await expect.poll(() => agent.counters().acks).toBe(4);
    expect(server.member.of("register")).toHaveLength(1);
    server.member.transact({ stream: "policy", revision: "e.2" });
    await expect.poll(() => server.member.of("register").length).toBe(2);
    server.script.onRequest = (from, { id }) => from.say({ type: "done", id });
    server.member.transact({ stream: "policy", revision: "e.3" });
    await expect.poll(() => server.member.of("register").length).toBe(3);
    server.member.transact({ stream: "policy", revision: "e.4" });
    await expect.poll(() => agent.outbound.current.revision).toBe("e.4");
    await agent.withdraw("x", "gone");
    expect(server.member.of("register")).toHaveLength(3);
  });

  test("a registration that was not allowed and is given up is not told again", async () => {
    const agent = await members.joined();
    members.server.script.onRequest = (from, { id, type }) =>
      from.say(
        type === "register" ? { type: "refused", id, code: "not-allowed", message: "no" } : { type: "done", id },
      );
    await expect(agent.register(early)).rejects.toMatchObject({ code: "JOIN_REFUSED" });
    await agent.withdraw("x", "gone");
    members.server.member.transact({ stream: "policy", revision: "e.2" });
    await expect.poll(() => agent.outbound.current.revision).toBe("e.2");
    await agent.withdraw("none", "gone");
    expect(members.server.member.of("register")).toHaveLength(1);
  });

  test("a registration that no policy could allow is not repeated", async () => {
    const agent = await members.joined();
    members.server.script.onRequest = (from, { id }) =>
      from.say({ type: "refused", id, code: "bad-message", message: "no address" });
    await expect(agent.register(early)).rejects.toThrow("bad-message: no address");
    await members.restartServer();
    await expect.poll(() => agent.counters().connections).toBe(2);
    expect(members.server.member.of("register")).toEqual([]);
  });

  test("after a goodbye the member stays away for as long as it was asked to", async () => {
    const clock = new FakeClock(0, Date.now());
    const agent = await members.joined({ clock });
    members.server.member.say({ type: "goodbye", reason: "restart", retryAfterMs: 5_000 });
    await expect
      .poll(() => agent.state.current)
      .toMatchObject({
        state: "disconnected",
        reason: "the config-server says goodbye: restart",
      });
    await clock.advanceAsync(4_999);
    expect(members.server.upgrades).toHaveLength(1);
    await clock.advanceAsync(101);
    await expect.poll(() => members.server.upgrades.length).toBe(2);
  });

  test("a server that is silent for two intervals is dead", async () => {
    const clock = new FakeClock(0, Date.now());
    const agent = await members.joined({ clock });
    clock.advance(29_000);
    members.server.member.socket.ping();
    await new Promise((resolve) => members.server.member.socket.once("pong", resolve));
    clock.advance(29_999);
    expect(agent.state.current.state).toBe("joined");
    clock.advance(1);
    await expect
      .poll(() => agent.state.current)
      .toMatchObject({
        state: "disconnected",
        reason: `${members.server.url} was silent for 30000 ms`,
      });
  });

  test("of several config-servers the next one is tried", async () => {
    const agent = await members.joined({ server: `wss://127.0.0.1:1,${members.server.url}` });
    expect(agent.state.current).toMatchObject({ server: members.server.url });
  });

  test("a certificate that the server does not accept any more is made good by the token, at once", async () => {
    const agent = await members.joined();
    members.server.script.upgradeRefusal = { status: 401, body: '{"code":"unauthenticated","message":"who?"}' };
    members.server.member.socket.terminate();
    await expect.poll(() => members.server.upgrades.slice(1)).toEqual([undefined, `Bearer ${members.server.token()}`]);
    expect(agent.state.current.state).toBe("disconnected");
  });

  test("a mesh that was set up anew is joined by the token in the file, though the old roots are held", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tulle-token-"));
    const tokenFile = join(folder, "token");
    writeFileSync(tokenFile, members.server.token());
    await members.joined({ token: undefined, tokenFile } as object);
    const { port } = members.server;
    const other = await createTestAuthority();
    writeFileSync(tokenFile, `${members.server.token(pinOf(new X509Certificate(other.root)))}\n`);
    await members.server.stop();
    const anew = await FakeConfigServer.start(other, port);
    await expect.poll(() => anew.members[0]?.authorization).toBe(`Bearer ${anew.token()}`);
    expect(anew.upgrades).toHaveLength(1);
    // The held certificate has half of its life before it, and is worth nothing here.
    await expect.poll(() => anew.member.of("certificate-request").length).toBe(1);
    await anew.stop();
    rmSync(folder, { recursive: true });
  });
});

describe("leaving", () => {
  test("says goodbye, closes, and leaves no timer", async () => {
    const clock = new FakeClock(0, Date.now());
    const agent = await members.joined({ clock });
    await agent.leave();
    expect(members.server.member.of("goodbye")).toHaveLength(1);
    expect(agent.state.current).toEqual({ state: "left" });
    expect(clock.pendingTimers).toBe(0);
  });

  test("ends a member that never connected", async () => {
    const clock = new FakeClock();
    const agent = members.member({ clock, server: "wss://127.0.0.1:1" });
    agent.start();
    await expect.poll(() => agent.counters().connectFailures).toBe(1);
    await agent.leave();
    expect(clock.pendingTimers).toBe(0);
    await expect(agent.ready(1)).rejects.toMatchObject({ code: "MESH_CLOSED" });
  });
});
