import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const packageFolder = fileURLToPath(new URL("..", import.meta.url));
const readme = await readFile(new URL("../../../README.md", import.meta.url), "utf8");

const samples = (language: string): string[] =>
  [...readme.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "gms"))].map(([, code]) => code ?? "");

/** Runs a sample as a file of its own, next to this package so that `tulle` resolves as it does for a user. */
const run = async (code: string, extension: string): Promise<string> => {
  const folder = await mkdtemp(join(packageFolder, ".readme-"));
  try {
    const file = join(folder, `sample.${extension}`);
    await writeFile(file, code);
    const { stdout } = await promisify(execFile)(process.execPath, ["--conditions=@tulle/source", file], {
      timeout: 15_000,
    });
    return stdout;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

test("the quick start runs as pasted", async () => {
  const [quickStart = ""] = samples("js");
  expect(quickStart.trim().split("\n").length).toBeLessThanOrEqual(11);
  const printed = await run(quickStart, "mjs");
  expect(printed).toContain("five stars");
  expect(printed).toContain("default/reviews");
});

test("the policy sample runs, and its policies are accepted", async () => {
  const sample = samples("ts").find((code) => code.includes("definePolicies"));
  expect(sample).toBeDefined();
  const printed = await run(
    `${sample?.replace("export default ", "const policies = ")}\nconsole.log(JSON.stringify(policies));`,
    "ts",
  );
  expect(JSON.parse(printed)).toEqual([
    expect.objectContaining({ kind: "Service", name: "reviews" }),
    expect.objectContaining({ kind: "Route" }),
  ]);
});
