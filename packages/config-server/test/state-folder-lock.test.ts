import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createConfigServer, StateFolderInUse } from "@tulle/config-server";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

let stateDir: string;
const children: ChildProcess[] = [];

beforeEach(async () => {
  stateDir = join(await mkdtemp(join(tmpdir(), "tulle-lock-")), "state");
});
afterEach(async () => {
  for (const child of children.splice(0)) await ended(child);
  await rm(stateDir, { recursive: true, force: true });
});

const ended = async (child: ChildProcess): Promise<void> => {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
};

/** Starts a config-server in a process of its own, and tells what it said: its admin token, or why it does not run. */
const start = async (): Promise<{ readonly child: ChildProcess; readonly said: string }> => {
  const script = join(import.meta.dirname, "server-process.ts");
  const child = spawn(process.execPath, [script, stateDir], { stdio: ["ignore", "pipe", "inherit"] });
  children.push(child);
  const [said] = await once(child.stdout!, "data");
  return { child, said: String(said).trim() };
};

describe("of the config-servers on one state folder only one runs:", () => {
  test("a second process is told the folder and the first one's id, and changes nothing", async () => {
    const first = await start();
    const second = await start();
    expect(second.said).toBe(
      `the state folder ${stateDir} is in use by another config-server, process ${first.child.pid}: end that one first, or give this one a folder of its own`,
    );
    await expect(createConfigServer({ stateDir, port: 0, adminPort: 0 })).rejects.toMatchObject({
      code: "STATE_FOLDER_IN_USE",
      folder: stateDir,
      pid: first.child.pid,
    });
    expect(first.child.exitCode).toBeNull();
  });

  test("one that was killed leaves no lock behind", async () => {
    const first = await start();
    await ended(first.child);
    const second = await start();
    expect(second.said).toBe(first.said);
    const third = await start();
    expect(third.said).toContain(`process ${second.child.pid}:`);
  });

  test("one that was closed gives the folder back, and within a process too there is only one", async () => {
    const first = await createConfigServer({ stateDir, port: 0, adminPort: 0 });
    // More than once: a refused one must not end the lock of the one that runs.
    for (const _ of [1, 2]) {
      await expect(createConfigServer({ stateDir, port: 0, adminPort: 0 })).rejects.toBeInstanceOf(StateFolderInUse);
    }
    expect((await start()).said).toContain(`process ${process.pid}:`);
    await first.close();
    const second = await createConfigServer({ stateDir, port: 0, adminPort: 0 });
    expect(second.adminToken).toBe(first.adminToken);
    for (const file of ["lock.db", "lock.pid"]) expect((await stat(join(stateDir, file))).mode & 0o777).toBe(0o600);
    await second.close();
  });

  test("one that could not open its ports gives it back", async () => {
    const taken = await createConfigServer({ port: 0, adminPort: 0 });
    const port = Number(new URL(taken.url).port);
    await expect(createConfigServer({ stateDir, port, adminPort: 0 })).rejects.toMatchObject({ code: "EADDRINUSE" });
    await (await createConfigServer({ stateDir, port: 0, adminPort: 0 })).close();
    await taken.close();
  });
});
