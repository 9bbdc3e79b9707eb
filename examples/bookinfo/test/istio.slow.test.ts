import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { tasks } from "../src/istio/istio-run.ts";

test("--istio applies every task's documents and sees what each promises, and nothing is left", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tulle-bookinfo-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }));
  const launcher = spawn(
    process.execPath,
    [join(import.meta.dirname, "..", "src", "start.ts"), "--istio", "--port", "0"],
    { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, TMPDIR: folder } },
  );
  onTestFinished(() => void launcher.kill("SIGKILL"));
  const [story, errors, [code]] = await Promise.all([
    text(launcher.stdout),
    text(launcher.stderr),
    once(launcher, "exit"),
  ]);
  for (const { title } of tasks) expect(story).toContain(title);
  expect(story, errors).toContain("every task showed what it promises");
  expect(story).not.toContain("   NOT ");
  expect(code).toBe(0);
  expect(
    readdirSync(folder).filter((name) => name.startsWith("tulle-bookinfo-")),
    "the run's folder is gone",
  ).toEqual([]);
});
