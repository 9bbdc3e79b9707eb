import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { exitCodes } from "@tulle/cli";
import { expect, test } from "vitest";
import { run } from "./captured-terminal.ts";

const docs = fileURLToPath(new URL("../../../docs", import.meta.url));
const text = readFileSync(join(docs, "security.md"), "utf8");

const commands = [...new Set([...text.matchAll(/`tulle ([a-z -]+)/g)].map(([, words = ""]) => words.trim()))];
const words = (command: string): readonly string[] => command.split(" ").filter((word) => /^[a-z]+$/.test(word));

test.each(commands)("the security page's command tulle %s exists", async (command) => {
  const { code, out } = await run([...words(command), "--help"]);
  expect(code).toBe(exitCodes.ok);
  // Help of a command that does not exist would be that of the one above it.
  expect(out).toContain(`tulle ${words(command).join(" ")}`);
  for (const option of command.match(/--[a-z-]+/g) ?? []) expect(out).toContain(option);
});

test("the security page names commands", () => {
  expect(commands.length).toBeGreaterThan(8);
});

const links = [...text.matchAll(/\]\(([^)]+)\)/g)].map(([, link = ""]) => link);

test.each(links)("the security page's link to %s leads somewhere", (link) => {
  const [file = "", heading] = link.split("#");
  expect(existsSync(join(docs, file))).toBe(true);
  if (heading === undefined) return;
  const headings = [...readFileSync(join(docs, file), "utf8").matchAll(/^#+ (.*)$/gm)].map(([, title = ""]) =>
    title
      .toLowerCase()
      .replaceAll(/[^a-z0-9 -]/g, "")
      .replaceAll(" ", "-"),
  );
  expect(headings).toContain(heading);
});
