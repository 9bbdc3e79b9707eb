import { mkdtemp, readFile, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeClock } from "@tulle/testing";
import { expect, test } from "vitest";
import { type AuditEvent, openAuditFile } from "./audit-log.ts";

const event = (number: number): AuditEvent => ({ event: "token-created", actor: "admin", detail: { number } });

const lines = async (file: string): Promise<readonly unknown[]> =>
  (await readFile(file, "utf8"))
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

const newFile = async (): Promise<string> => join(await mkdtemp(join(tmpdir(), "tulle-")), "audit.jsonl");

test("appends one line per event in order, with the moment, also after a restart", async () => {
  const file = await newFile();
  const first = await openAuditFile(file, new FakeClock());
  await Promise.all([first.record(event(1)), first.record(event(2))]);
  await first.close();
  const second = await openAuditFile(file, new FakeClock());
  await second.record(event(3));
  await second.close();
  expect(await lines(file)).toEqual([1, 2, 3].map((number) => ({ at: "2023-11-14T22:13:20.000Z", ...event(number) })));
  expect((await stat(file)).mode & 0o777).toBe(0o600);
});

test("keeps one full file beside the present one", async () => {
  const file = await newFile();
  const log = await openAuditFile(file, new FakeClock(), 250);
  for (let number = 1; number <= 5; number++) await log.record(event(number));
  await log.close();
  expect(await lines(`${file}.1`)).toMatchObject([event(3), event(4)]);
  expect(await lines(file)).toMatchObject([event(5)]);
});
