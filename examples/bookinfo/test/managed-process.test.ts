import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { ManagedProcess, type UnexpectedEnd } from "../src/launcher/managed-process.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tulle-managed-"));
  onTestFinished(() => rm(folder, { recursive: true }));
});

const processOf = async (source: string) => {
  const script = join(folder, "script.mjs");
  await writeFile(script, source);
  const onUnexpectedEnd = vi.fn<(end: UnexpectedEnd) => void>();
  const description = { name: "subject", script, env: { GREETING: "hello" }, logFile: join(folder, "subject.log") };
  const subject = new ManagedProcess<{ type: string; said: string }>(description, onUnexpectedEnd);
  onTestFinished(() => subject.kill());
  return { subject, onUnexpectedEnd, logFile: description.logFile };
};

const SERVES = `
process.once("SIGTERM", () => { console.log("bye"); process.exit(0); });
process.send({ type: "ready", said: process.env.GREETING + " from " + process.env.OTEL_RESOURCE_ATTRIBUTES });
setInterval(() => {}, 1000);
`;

test("starts with its environment, tells when it is ready, and ends when told to", async () => {
  const { subject, onUnexpectedEnd, logFile } = await processOf(SERVES);
  expect(await subject.start()).toEqual({ type: "ready", said: "hello from service.instance.id=subject.1" });
  expect(subject.running).toBe(true);
  await subject.stop();
  expect(subject.running).toBe(false);
  expect(await readFile(logFile, "utf8")).toContain("bye");
  expect(onUnexpectedEnd).not.toHaveBeenCalled();
});

test("each start is another instance to the telemetry", async () => {
  const { subject } = await processOf(SERVES);
  await subject.start();
  await subject.kill();
  expect((await subject.start()).said).toContain("subject.2");
  expect(subject.telemetryId).toBe("subject.2");
});

test("tells of an end that nobody asked for, with its last words", async () => {
  const { subject, onUnexpectedEnd } = await processOf(`
    process.send({ type: "ready", said: "" });
    console.log("out of luck");
    setTimeout(() => process.exit(7), 10);
  `);
  await subject.start();
  await vi.waitFor(() => expect(onUnexpectedEnd).toHaveBeenCalled(), { timeout: 10_000 });
  expect(onUnexpectedEnd.mock.calls).toEqual([
    [expect.objectContaining({ name: "subject", code: 7, signal: null, lastWords: "out of luck" })],
  ]);
});

test("refuses to be ready when it ends before", async () => {
  const { subject } = await processOf("process.exit(3)");
  await expect(subject.start()).rejects.toThrow("subject ended with code 3 before it was ready, see ");
});
