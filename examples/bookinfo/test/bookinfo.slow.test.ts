import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test, vi } from "vitest";
import type { RunReport } from "../src/telemetry/run-report.ts";

const start = (...argv: readonly string[]) => {
  // A launcher that is killed cannot tidy up.
  const folder = mkdtempSync(join(tmpdir(), "tulle-bookinfo-test-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }));
  const launcher = spawn(process.execPath, [join(import.meta.dirname, "..", "src", "start.ts"), ...argv], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, TMPDIR: folder },
  });
  onTestFinished(() => void launcher.kill("SIGKILL"));
  return launcher;
};

const runToItsEnd = async (...argv: readonly string[]) => {
  const launcher = start(...argv);
  const [output, story, [code]] = await Promise.all([
    text(launcher.stdout),
    text(launcher.stderr),
    once(launcher, "exit"),
  ]);
  return { output, story, code: code as number | null };
};

const readReport = (output: string): RunReport => JSON.parse(output.trimEnd().split("\n").at(-1) ?? "") as RunReport;

const edge = (report: RunReport, source: string, destination: string) => {
  const found = report.edges.find((each) => each.source === source && each.destination === destination);
  if (found === undefined) throw new Error(`no edge from ${source} to ${destination}`);
  return found;
};

/** Whether `hits` of `draws` is within 4 standard deviations of the share: a fair draw fails once in 16,000 runs. */
const expectShare = (hits: number, draws: number, share: number): void => {
  const deviation = Math.sqrt(draws * share * (1 - share));
  expect(Math.abs(hits - draws * share)).toBeLessThan(4 * deviation);
};

test("a short run: every edge, the split, mTLS everywhere and no failure", async () => {
  const { output, story, code } = await runToItsEnd("--for", "8s", "--json", "--port", "0");
  expect(output.trimEnd().split("\n"), "nothing but the report on stdout").toHaveLength(1);
  const report = readReport(output);
  expect(report, story).toMatchObject({ failures: 0, mtls: true });
  expect(code, story).toBe(0);
  expect(report.requests).toBeGreaterThan(100);
  expect(report.revision).toMatch(/^.+\.\d+$/);
  expect(report.edges.map(({ source, destination }) => [source, destination])).toEqual([
    ["productpage", "details"],
    ["productpage", "reviews"],
    ["reviews", "ratings"],
  ]);

  const reviews = edge(report, "productpage", "reviews");
  expect(reviews.requests, "one call per page").toBe(report.requests);
  const { v1 = 0, v2 = 0, v3 = 0 } = reviews.versions;
  expect(v1 + v2 + v3, "each call was answered by a version").toBe(reviews.requests);
  expect(v3, "v3 was asked for").toBeGreaterThan(0);
  expectShare(v1, v1 + v2, 0.8);

  const ratings = edge(report, "reviews", "ratings");
  expect(ratings.requests, "v2 and v3 ask for stars, v1 does not").toBe(v2 + v3);
  for (const { p50Ms, p99Ms } of report.edges) {
    expect(p50Ms).toBeGreaterThan(0);
    expect(p99Ms).toBeGreaterThanOrEqual(p50Ms ?? 0);
  }
});

test("chaos: config-server, replica and certificates go and come back without a failure", async () => {
  const { output, story, code } = await runToItsEnd("--chaos", "--json", "--port", "0");
  const report = readReport(output);
  expect(report, story).toMatchObject({ failures: 0, mtls: true });
  expect(code, story).toBe(0);
  expect(story).toContain("the config-server is back; failures so far: 0");
  expect(story).toContain("reviews-v1-b is back; failures so far: 0");
  expect(story).toContain("every certificate was replaced; failures so far: 0");
});

test("Ctrl-C ends every process", async () => {
  const launcher = start("--port", "0");
  const exited = once(launcher, "exit");
  let story = "";
  launcher.stdout.on("data", (chunk) => {
    story += chunk;
  });
  await vi.waitFor(() => expect(story).toContain("page: http"), { timeout: 60_000, interval: 100 });
  const url = /page: (\S+)/.exec(story)?.[1] ?? "";
  const page = await fetch(`${url}?u=jason`);
  expect(page.status).toBe(200);
  expect(await page.text()).toContain("★★★★★");
  launcher.kill("SIGINT");
  const [code] = await exited;
  expect(code).toBe(0);
  await expect(fetch(url)).rejects.toThrow("fetch failed");
});

test("processes whose launcher was killed end by themselves", async () => {
  const launcher = start("--port", "0");
  let story = "";
  launcher.stdout.on("data", (chunk) => {
    story += chunk;
  });
  await vi.waitFor(() => expect(story).toContain("page: http"), { timeout: 60_000, interval: 100 });
  const url = /page: (\S+)/.exec(story)?.[1] ?? "";
  expect((await fetch(url)).status).toBe(200);
  launcher.kill("SIGKILL");
  await vi.waitFor(() => expect(fetch(url)).rejects.toThrow("fetch failed"), { timeout: 15_000, interval: 100 });
});

test("a flag that does not exist: usage, and exit code 2", async () => {
  const { output, story, code } = await runToItsEnd("--fro", "15s");
  expect({ output, code }).toEqual({ output: "", code: 2 });
  expect(story).toContain("Unknown option '--fro'");
  expect(story).toContain("Usage: npm start");
});
