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

test("the command runs a config-server, is answered by it, and ends with it on SIGTERM", async () => {
  const stateDir = join(await mkdtemp(join(tmpdir(), "tulle-")), "state");
  const argv = [bin, "up", "--json", "--state-dir", stateDir, "--port", "0", "--admin-port", "0"];
  const up = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(createInterface(up.stdout), "line");
  const { adminFile } = JSON.parse(line);
  const { stdout } = await tulle("status", "--json", "--admin", adminFile);
  expect(JSON.parse(stdout)).toMatchObject({ server: { trustDomain: "cluster.local" }, members: [] });
  up.kill("SIGTERM");
  expect(await once(up, "exit")).toEqual([0, null]);
  await expect(tulle("status", "--admin", adminFile)).rejects.toMatchObject({ code: 3 });
});

test("the command says its version and refuses what it does not know", async () => {
  expect((await tulle("--version")).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  await expect(tulle("nonsense")).rejects.toMatchObject({ code: 2 });
});
