import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, test } from "vitest";
import { useMembers } from "./member-fixture.ts";

const members = useMembers();

test("a process that waits for the mesh lives until it is joined, and then ends by itself", async () => {
  const { server } = members;
  server.script.onHello = (from) => {
    from.say(server.welcome());
    members.sayAll(from);
  };
  const script = join(import.meta.dirname, "member-process.ts");
  const child = spawn(process.execPath, [script, server.url, server.token()], { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  child.stdout.on("data", (chunk) => {
    said += String(chunk);
  });
  const [code] = await once(child, "exit");
  expect([code, said]).toEqual([0, "joined"]);
});

test("certificates of 2 s are renewed on one connection, and replaced without a gap", async () => {
  members.server.script.certificateLifeMs = 2_000;
  const agent = await members.joined();
  const generations = new Set<string>();
  agent.credentials.subscribe((credentials) => {
    expect(credentials!.notAfterMs).toBeGreaterThan(Date.now());
    generations.add(credentials!.certificateChain);
  });
  await expect.poll(() => generations.size, { timeout: 15_000 }).toBe(3);
  expect(agent.counters()).toMatchObject({ renewals: 4, renewalFailures: 0, connections: 1 });
  expect(members.server.member.shown).toBeUndefined();
});

test("a renewal is asked for by the server", async () => {
  const agent = await members.joined();
  members.server.member.say({ type: "renew" });
  await expect.poll(() => agent.credentials.current?.generation).toBe(2);
  expect(members.server.issued).toHaveLength(2);
});
