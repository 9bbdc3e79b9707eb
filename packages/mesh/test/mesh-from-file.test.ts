import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PolicyError } from "@tulle/policy";
import { afterEach, beforeEach, expect, test } from "vitest";
import { meshFromFile } from "../src/file.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "tulle-file-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const content = (port: number): string =>
  `kind: Service\nname: reviews\n---\nkind: Endpoints\nservice: reviews\nendpoints: ["127.0.0.1:${port}"]\n`;

test("a mesh follows its file, and keeps the last good content of one that cannot be read", async () => {
  const file = join(folder, "mesh.yaml");
  await writeFile(file, content(1001));
  const errors: string[] = [];
  const logger = { info: () => undefined, warn: () => undefined, error: (text: string) => void errors.push(text) };
  await using mesh = await meshFromFile(file, { logger });
  const endpoints = (): string => String(mesh.explain("http://reviews/7"));
  expect(endpoints()).toContain("127.0.0.1:1001");

  await writeFile(file, content(1002));
  await expect.poll(endpoints).toContain("127.0.0.1:1002");

  await writeFile(file, content(1003).replace("name: reviews", "nmae: reviews"));
  await expect.poll(() => errors).toHaveLength(1);
  expect(errors[0]).toMatch(/the last good content stays:\n.*mesh\.yaml:2/s);
  expect(endpoints()).toContain("127.0.0.1:1002");

  await writeFile(`${file}.new`, content(1004));
  await rename(`${file}.new`, file);
  await expect.poll(endpoints).toContain("127.0.0.1:1004");
});

test("a file with problems is refused at the start, all of them at once", async () => {
  const file = join(folder, "mesh.yaml");
  await writeFile(file, "kind: Service\nname: UPPER\n---\nkind: Endpoints\nendpoints: []\n");
  const failure: unknown = await meshFromFile(file).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(PolicyError);
  expect((failure as PolicyError).problems).toHaveLength(2);
});
