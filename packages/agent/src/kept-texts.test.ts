import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { KeptTexts } from "./kept-texts.ts";
import { silentLogger } from "./logger.ts";
import { StateFolder } from "./state-folder.ts";

const stateFolder = (): StateFolder => {
  const path = mkdtempSync(join(tmpdir(), "tulle-test-"));
  const folder = StateFolder.take(path);
  onTestFinished(() => rmSync(path, { recursive: true }));
  return folder;
};

test("what was kept is there at the next start, in a file that only its owner can read", async () => {
  const folder = stateFolder();
  const before = new KeptTexts(folder, "texts.json", silentLogger);
  await Promise.all([before.write("a", "1"), before.write("b", "2"), before.write("a", "3")]);
  await before.close();
  expect(statSync(join(folder.path, "texts.json")).mode & 0o777).toBe(0o600);
  const after = new KeptTexts(folder, "texts.json", silentLogger);
  expect([await after.read("a"), await after.read("b"), await after.read("c")]).toEqual(["3", "2", undefined]);
});

test("of more than 64 texts those are kept that were written last", async () => {
  const folder = stateFolder();
  const texts = new KeptTexts(folder, "texts.json", silentLogger);
  for (let at = 0; at < 65; at++) await texts.write(String(at), "text");
  expect([await texts.read("0"), await texts.read("1")]).toEqual([undefined, "text"]);
});

test("nothing is written once the folder may be another's", async () => {
  const folder = stateFolder();
  const texts = new KeptTexts(folder, "texts.json", silentLogger);
  await texts.write("a", "1");
  await texts.close();
  await texts.write("a", "2");
  expect(readFileSync(join(folder.path, "texts.json"), "utf8")).toBe('{"a":"1"}');
});

test.each(["{", "[]", '"text"', '{"a":1}'])("a file that holds %j is as if nothing had been kept", async (content) => {
  const folder = stateFolder();
  writeFileSync(join(folder.path, "texts.json"), content);
  const texts = new KeptTexts(folder, "texts.json", silentLogger);
  expect(await texts.read("a")).toBeUndefined();
});
