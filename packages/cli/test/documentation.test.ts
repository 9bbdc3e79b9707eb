import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { exitCodes } from "@tulle/cli";
import { expect, test } from "vitest";
import { run } from "./captured-terminal.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const page = (name: string): string => readFileSync(join(root, "docs", name), "utf8");
const variables = (text: string): readonly string[] => text.match(/\bTULLE_[A-Z_]+\b/g) ?? [];

test("the environment page has every TULLE_ variable that the code names, and no other", () => {
  const sources = globSync("packages/*/src/**/*.ts", { cwd: root }).filter((file) => !file.endsWith(".test.ts"));
  const used = new Set(sources.flatMap((file) => variables(readFileSync(join(root, file), "utf8"))));
  const told = new Set(variables(page("environment.md")));
  expect([...used].sort()).toEqual([...told].sort());
});

test("the command line's page has every command and every exit code", async () => {
  const text = page("cli.md");
  const help = (await run(["--help"])).out;
  const commands = [...help.matchAll(/^ {2}([a-z]+) .*$/gm)]
    .map(([, name = ""]) => name)
    .filter((name) => name !== "help");
  expect(commands.length).toBeGreaterThan(8);
  for (const name of commands) expect(text).toContain(`\`tulle ${name}`);
  for (const code of Object.values(exitCodes)) expect(text).toMatch(new RegExp(`^\\| ${code} \\|`, "m"));
});
