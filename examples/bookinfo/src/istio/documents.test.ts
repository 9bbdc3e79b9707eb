import { readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { checkPolicies } from "@tulle/policy";
import { readDocuments, translate } from "@tulle/translate";
import { describe, expect, test } from "vitest";
import { documentFolder, MESH_FILES, tasks } from "./istio-run.ts";

const documentsIn = (file: string) => {
  const text = readFileSync(join(documentFolder, file), "utf8").replaceAll("$JWKS_URI", "http://127.0.0.1:1/keys.json");
  const { documents, problems } = readDocuments(text, file, "default");
  expect(problems).toEqual([]);
  return documents;
};

const meshFiles = (await readdir(join(documentFolder, MESH_FILES))).map((name) => join(MESH_FILES, name));

describe("the documents of a task", () => {
  test.each(tasks)("$title: every field has a meaning here, and the policies hold together", ({ files }) => {
    const { policies, findings } = translate([...meshFiles, ...files].flatMap(documentsIn));
    expect(
      findings.filter(({ level, document }) => level !== "ignored" || !/^ServiceAccount\//.test(document)),
    ).toEqual([]);
    expect(checkPolicies(policies)).toEqual([]);
    expect(policies.length).toBeGreaterThan(4);
  });
});

test("every document belongs to a task", async () => {
  const all = await readdir(documentFolder, { recursive: true });
  const used = new Set([...meshFiles, ...tasks.flatMap(({ files }) => files)]);
  expect(all.filter((name) => name.endsWith(".yaml") && !used.has(name))).toEqual([]);
});
