import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const bin = fileURLToPath(new URL("../bin/tulle.js", import.meta.url));
const tulle = (...argv: readonly string[]) => promisify(execFile)(process.execPath, [bin, ...argv]);

/** Runs a config-server in a process of its own, and tells what it said when it ran. */
const start = async (stateDir: string, ...options: readonly string[]) => {
  const argv = [bin, "up", "--json", "--state-dir", stateDir, "--port", "0", "--admin-port", "0", ...options];
  const up = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(createInterface(up.stdout), "line");
  return { up, ...(JSON.parse(line) as { adminFile: string; revision: string }) };
};

const stateFolder = async (): Promise<string> => join(await mkdtemp(join(tmpdir(), "tulle-")), "state");

test("the command runs a config-server, is answered by it, and ends with it on SIGTERM", async () => {
  const stateDir = await stateFolder();
  const { up, adminFile } = await start(stateDir);
  const { stdout } = await tulle("status", "--json", "--admin", adminFile);
  expect(JSON.parse(stdout)).toMatchObject({ server: { trustDomain: "cluster.local" }, members: [] });
  up.kill("SIGTERM");
  expect(await once(up, "exit")).toEqual([0, null]);
  await expect(tulle("status", "--admin", adminFile)).rejects.toMatchObject({ code: 3 });
});

test("a second config-server on the folder is refused by name; one after a kill runs, under a new epoch if it is told to", async () => {
  const stateDir = await stateFolder();
  const first = await start(stateDir);
  await expect(tulle("up", "--state-dir", stateDir, "--port", "0", "--admin-port", "0")).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining(`${stateDir} is in use by another config-server, process ${first.up.pid}`),
  });
  first.up.kill("SIGKILL");
  await once(first.up, "exit");
  const second = await start(stateDir);
  expect(second.revision).toBe(first.revision);
  second.up.kill("SIGTERM");
  await once(second.up, "exit");
  const third = await start(stateDir, "--new-epoch");
  expect(third.revision).toMatch(/^[0-9a-f]{8}\.0$/);
  expect(third.revision).not.toBe(first.revision);
  third.up.kill("SIGTERM");
  await once(third.up, "exit");
});

test("the command says its version and refuses what it does not know", async () => {
  expect((await tulle("--version")).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  await expect(tulle("nonsense")).rejects.toMatchObject({ code: 2 });
});
