import { appendFile, mkdtemp, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeClock } from "@tulle/testing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hashOfLine, verifyChain } from "./audit-chain.ts";
import { type AuditEvent, KEPT_AUDIT_FILES, openAuditFile } from "./audit-log.ts";
import { readAuditLog } from "./read-audit-log.ts";
import {
  REFUSAL_LINES_BURST,
  REFUSAL_LINES_PER_SECOND,
  REFUSAL_SUMMARY_MS,
  withRefusalBudget,
} from "./refusal-budget.ts";

const event = (number: number): AuditEvent => ({ event: "token-created", actor: "admin", detail: { number } });

const texts = async (file: string): Promise<readonly string[]> => (await readFile(file, "utf8")).trimEnd().split("\n");
const lines = async (file: string): Promise<readonly unknown[]> => (await texts(file)).map((line) => JSON.parse(line));

const newFile = async (): Promise<string> => join(await mkdtemp(join(tmpdir(), "tulle-")), "audit.jsonl");
const written = async (file: string, count: number, maxBytes?: number): Promise<void> => {
  const log = await openAuditFile(file, new FakeClock(), maxBytes);
  for (let number = 1; number <= count; number++) await log.record(event(number));
  await log.close();
};

describe("the audit log", () => {
  test("appends one line per event in order, with the moment, also after a restart", async () => {
    const file = await newFile();
    const first = await openAuditFile(file, new FakeClock());
    await Promise.all([first.record(event(1)), first.record(event(2))]);
    await first.close();
    const second = await openAuditFile(file, new FakeClock());
    await second.record(event(3));
    await second.close();
    expect(await lines(file)).toEqual(
      [1, 2, 3].map((number) => ({
        seq: number,
        at: "2023-11-14T22:13:20.000Z",
        ...event(number),
        prev: expect.any(String),
      })),
    );
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(verifyChain(await readAuditLog(file))).toMatchObject({ intact: true, lines: 3, firstSeq: 1, lastSeq: 3 });
  });

  test("goes on in a new file, keeps the chain over all of them, and drops what is older than is kept", async () => {
    const file = await newFile();
    await written(file, 5, 400);
    expect(await lines(`${file}.1`)).toMatchObject([event(3), event(4)]);
    expect(await lines(file)).toMatchObject([event(5)]);
    expect(verifyChain(await readAuditLog(file))).toMatchObject({ intact: true, firstSeq: 1, lastSeq: 5 });
    await written(file, 40, 400);
    expect(await readdir(join(file, ".."))).toHaveLength(KEPT_AUDIT_FILES + 1);
    const verdict = verifyChain(await readAuditLog(file));
    expect(verdict).toMatchObject({ intact: true, lastSeq: 45 });
    expect(verdict).not.toMatchObject({ firstSeq: 1 });
  });

  test("goes on after a crash between two files", async () => {
    const file = await newFile();
    await written(file, 2);
    await writeFile(`${file}.1`, await readFile(file));
    await writeFile(file, "");
    await written(file, 1);
    expect(verifyChain(await readAuditLog(file))).toMatchObject({ intact: true, lastSeq: 3 });
  });

  test("closes a line that a crash left half written, and says so", async () => {
    const file = await newFile();
    await written(file, 2);
    await appendFile(file, '{"seq":3,"at":"2023');
    await written(file, 1);
    expect((await texts(file)).map((line) => line.slice(0, 20))).toHaveLength(5);
    expect(JSON.parse((await texts(file))[3] ?? "")).toMatchObject({
      seq: 3,
      event: "audit-resumed",
      detail: { tornBytes: 19 },
    });
    expect(verifyChain(await readAuditLog(file))).toMatchObject({ intact: true, lastSeq: 4 });
  });

  test("rejects every line that a full disk does not take, and goes on where it was", async () => {
    const file = await newFile();
    await symlink("/dev/full", file);
    const log = await openAuditFile(file, new FakeClock());
    const outcomes = await Promise.allSettled([log.record(event(1)), log.record(event(2))]);
    expect(outcomes).toMatchObject([{ reason: { code: "ENOSPC" } }, { reason: { code: "ENOSPC" } }]);
    await expect(log.record(event(3))).rejects.toBeInstanceOf(Error);
    await log.close();
  });

  test("cuts long words", async () => {
    const file = await newFile();
    const log = await openAuditFile(file, new FakeClock());
    await log.record({ event: "join-refused", actor: "a", detail: { reason: "x".repeat(100_000) } });
    await log.close();
    expect((await stat(file)).size).toBeLessThan(3_000);
  });
});

describe("tampering shows", () => {
  const tampered = async (change: (lines: string[]) => void): Promise<unknown> => {
    const file = await newFile();
    await written(file, 6);
    const all = [...(await texts(file))];
    change(all);
    await writeFile(file, `${all.join("\n")}\n`);
    return verifyChain(await readAuditLog(file));
  };

  test.each<[string, (lines: string[]) => void, number, string]>([
    ["a changed line", (all) => all.splice(2, 1, all[2]!.replace('"number":3', '"number":9')), 4, "was changed"],
    ["a removed line", (all) => all.splice(2, 1), 3, "removed or moved"],
    ["lines that changed places", (all) => all.splice(2, 2, all[3]!, all[2]!), 3, "removed or moved"],
    ["a line that was put in", (all) => all.splice(2, 0, all[2]!), 4, "removed or moved"],
    [
      "a first line that is gone",
      (all) => all.splice(0, 2, all[1]!.replace('"seq":2', '"seq":1')),
      1,
      "does not begin",
    ],
    ["a line that is none", (all) => all.splice(2, 1, "nothing"), 3, "none of the log's"],
  ])("as %s", async (_, change, line, reason) => {
    expect(await tampered(change)).toMatchObject({ intact: false, line, reason: expect.stringContaining(reason) });
  });

  test("as an end that was cut off, to whom has kept a head", async () => {
    const file = await newFile();
    await written(file, 6);
    const all = await texts(file);
    const head = hashOfLine(all[5]!);
    expect(verifyChain(await readAuditLog(file), head)).toMatchObject({ intact: true, head });
    await written(file, 1);
    expect(verifyChain(await readAuditLog(file), head)).toMatchObject({ intact: true, lastSeq: 7 });
    await writeFile(file, `${all.slice(0, 5).join("\n")}\n`);
    expect(verifyChain(await readAuditLog(file))).toMatchObject({ intact: true });
    expect(verifyChain(await readAuditLog(file), head)).toMatchObject({
      intact: false,
      reason: expect.stringContaining("cut off"),
    });
  });

  test("as any one character that is another, before the last line", async () => {
    const file = await newFile();
    await written(file, 4);
    const all = await readAuditLog(file);
    const place = fc.tuple(fc.nat(2), fc.nat(1_000), fc.integer({ min: 32, max: 126 }));
    fc.assert(
      fc.property(place, ([line, at, code]) => {
        const text = all[line]?.text ?? "";
        const index = at % text.length;
        const changed = `${text.slice(0, index)}${String.fromCharCode(code)}${text.slice(index + 1)}`;
        const verdict = verifyChain(all.map((each, number) => (number === line ? { ...each, text: changed } : each)));
        return verdict.intact === (changed === text);
      }),
      { numRuns: 20_000 },
    );
  }, 60_000);
});

test("refusals beyond their budget are counted, and nothing else is held back", async () => {
  const clock = new FakeClock();
  const events: AuditEvent[] = [];
  let full = false;
  const audit = withRefusalBudget(
    {
      record: async (each) => {
        if (full) throw new Error("no space left");
        events.push(each);
      },
      close: async () => undefined,
    },
    clock,
  );
  const refusal: AuditEvent = { event: "join-refused", actor: "10.0.0.1", detail: {} };
  for (let time = 0; time < REFUSAL_LINES_BURST + 25; time++) await audit.record(refusal);
  await audit.record(event(1));
  expect(events).toHaveLength(REFUSAL_LINES_BURST + 1);
  full = true;
  await clock.advanceAsync(REFUSAL_SUMMARY_MS);
  full = false;
  for (let time = 0; time < REFUSAL_LINES_PER_SECOND * 10 + 5; time++) await audit.record(refusal);
  await clock.advanceAsync(REFUSAL_SUMMARY_MS);
  expect(events.at(-1)).toEqual({ event: "refusals-not-recorded", actor: "program", detail: { count: 30 } });
  for (let time = 0; time < 101; time++) await audit.record(refusal);
  await audit.close();
  expect(events.at(-1)).toMatchObject({ detail: { count: 1 } });
  expect(clock.pendingTimers).toBe(0);
});
