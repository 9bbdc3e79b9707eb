import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { StateFolder } from "../src/state-folder.ts";
import { useMembers } from "./member-fixture.ts";

let stateDir: string;

beforeEach(() => {
  stateDir = join(mkdtempSync(join(tmpdir(), "tulle-agent-")), "state");
});

afterEach(() => {
  rmSync(join(stateDir, ".."), { recursive: true, force: true });
});

// After the folder's hooks, since the last ones run first: members that still write must end before their folder goes.
const members = useMembers();

const slot = (name: string): string => join(stateDir, "member-0", name);

/** A member that joined, left, and whose config-server is gone. */
const leftBehind = async (): Promise<void> => {
  const agent = await members.joined({ stateDir });
  await agent.leave();
  await members.server.stop();
};

describe("the state folder", () => {
  test("lets a member start without a config-server, with the last good snapshot and certificate", async () => {
    await leftBehind();
    const agent = members.member({ stateDir });
    expect(agent.hasSnapshot).toBe(false);
    agent.start();
    expect(agent.hasSnapshot).toBe(true);
    expect(agent.state.current).toMatchObject({ state: "disconnected" });
    expect(agent.outbound.current).toMatchObject({ revision: "e.1" });
    expect(agent.outbound.current.services.get("default/reviews")?.endpoints).toHaveLength(2);
    expect(agent.inbound.current?.service.name).toBe("productpage");
    expect(agent.credentials.current).toMatchObject({ spiffeId: "spiffe://cluster.local/ns/default/sa/productpage" });
    await expect(agent.ready(50)).rejects.toMatchObject({ code: "JOIN_TIMEOUT" });
    await members.restartServer();
    await expect.poll(() => members.server.members[0]?.hello?.held.policy?.revision).toBe("e.1");
    expect(members.server.member.shown).toBe("spiffe://cluster.local/ns/default/sa/productpage");
  });

  test("is readable by its owner alone", async () => {
    await leftBehind();
    expect(statSync(join(stateDir, "member-0")).mode & 0o777).toBe(0o700);
    for (const file of ["resources.json", "credentials.json", "instance-id"]) {
      expect(statSync(slot(file)).mode & 0o777, file).toBe(0o600);
    }
  });

  test("keeps the instance's id, where none was given", async () => {
    const first = members.member({ stateDir, instanceId: undefined } as object);
    first.start();
    await first.leave();
    expect(first.instanceId).toMatch(/^productpage-[0-9a-f]{12}$/);
    expect(members.member({ stateDir, instanceId: undefined } as object).instanceId).toBe(first.instanceId);
  });

  test.each(["resources.json", "credentials.json"])(
    "a corrupt %s is ignored with a warning that names it",
    async (file) => {
      await leftBehind();
      writeFileSync(slot(file), '{"form":1,"streams"');
      const agent = members.member({ stateDir });
      agent.start();
      expect(agent.hasSnapshot).toBe(false);
      expect(members.logged).toContainEqual(expect.stringContaining(`${slot(file)} is ignored, it cannot be read:`));
    },
  );

  test.each([
    ["a file of another form", '{"form":99}', "it has not the form 1"],
    ["a missing stream", '{"form":1,"streams":{}}', "policy is no object"],
    [
      "a resource of the wrong shape",
      '{"form":1,"streams":{"policy":{"revision":null,"seen":null,"resources":[{"name":"mesh","version":"v","value":{"kind":"Route","name":"x"}}]}}}',
      'mesh.kind: expected Mesh, got "Route"',
    ],
    [
      "a revision that is none",
      '{"form":1,"streams":{"policy":{"revision":"x","seen":null,"resources":[]}}}',
      "a revision is none",
    ],
  ])("%s is ignored", async (_title, text, reason) => {
    mkdirSync(join(stateDir, "member-0"), { recursive: true });
    writeFileSync(slot("resources.json"), text);
    members.member({ stateDir }).start();
    expect(members.logged).toContainEqual(`${slot("resources.json")} is ignored, it cannot be read: ${reason}`);
  });

  test("what cannot be written is a warning and a counter, never an end", async () => {
    const agent = await members.joined({ stateDir });
    await expect.poll(() => agent.counters().stateWrites).toBeGreaterThan(2);
    rmSync(join(stateDir, "member-0"), { recursive: true, maxRetries: 10, retryDelay: 20 });
    members.server.member.transact({ stream: "policy", revision: "e.2" });
    // A write that was under way when the folder went fails as well.
    await expect.poll(() => agent.counters().stateWriteFailures).toBeGreaterThan(0);
    expect(members.logged).toContainEqual(expect.stringContaining("resources.json could not be written"));
    expect(agent.state.current.state).toBe("joined");
  });

  test("a folder that cannot be used is a warning", async () => {
    writeFileSync(join(stateDir, "..", "file"), "");
    const agent = await members.joined({ stateDir: join(stateDir, "..", "file") });
    expect(agent.state.current.state).toBe("joined");
    expect(members.logged).toContainEqual(expect.stringContaining("is not used, nothing survives a restart"));
  });

  test("a kept policy that cannot be run any more is not used", async () => {
    await leftBehind();
    const agent = members.member({ stateDir, validate: () => "too old" });
    agent.start();
    expect(agent.hasSnapshot).toBe(false);
    expect(members.logged).toContain("the kept policy is not used, it cannot be run: too old");
  });
});

describe("two members with one folder", () => {
  test("take a slot each, with ids of their own", async () => {
    const first = await members.joined({ stateDir });
    const second = await members.joined({ stateDir });
    expect([first.instanceId, second.instanceId]).toEqual(["productpage-0", "productpage-0-1"]);
    await first.leave();
    expect(members.member({ stateDir }).instanceId).toBe("productpage-0");
  });

  const holders: ChildProcess[] = [];
  afterEach(() => {
    for (const holder of holders.splice(0)) holder.kill("SIGKILL");
  });

  test("a slot is held by a living process and free when it died", async () => {
    const holder = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
    holders.push(holder);
    mkdirSync(join(stateDir, "member-0"), { recursive: true });
    const startedAt = readStart(holder.pid);
    writeFileSync(slot("lock"), JSON.stringify({ pid: holder.pid, startedAt }));
    expect(StateFolder.take(stateDir).slot).toBe(1);
    holder.kill("SIGKILL");
    await new Promise((resolve) => holder.once("exit", resolve));
    expect(StateFolder.take(stateDir).slot).toBe(0);
  });

  test.skipIf(process.platform !== "linux")("a number that was given to another process holds nothing", () => {
    mkdirSync(join(stateDir, "member-0"), { recursive: true });
    writeFileSync(slot("lock"), JSON.stringify({ pid: process.ppid, startedAt: "1" }));
    expect(StateFolder.take(stateDir).slot).toBe(0);
  });

  test.each(["", "{", "null", '{"pid":"x"}'])("a lock that says %j holds nothing", (text) => {
    mkdirSync(join(stateDir, "member-0"), { recursive: true });
    writeFileSync(slot("lock"), text);
    expect(StateFolder.take(stateDir).slot).toBe(0);
    expect(JSON.parse(readFileSync(slot("lock"), "utf8"))).toMatchObject({ pid: process.pid });
  });

  test("a released slot is free", () => {
    const folder = StateFolder.take(stateDir);
    expect(StateFolder.take(stateDir).slot).toBe(1);
    folder.release();
    expect(StateFolder.take(stateDir).slot).toBe(0);
  });
});

const readStart = (pid: number | undefined): string | undefined => {
  if (process.platform !== "linux") return undefined;
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
};
