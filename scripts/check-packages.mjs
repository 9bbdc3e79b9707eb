// Looks at each published package as its users will get it: publint on the files that npm would pack, and "are the types
// wrong" on the packed archive. Needs a build. Every problem is printed; the exit code says whether there was one.
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = join(import.meta.dirname, "..");
const tool = (name) => join(root, "node_modules", ".bin", name);
const AT_ONCE = 2;

const folders = readdirSync(join(root, "packages"))
  .map((folder) => join(root, "packages", folder))
  .filter((folder) => existsSync(join(folder, "package.json")));

/** Files that the manifest promises and the build did not make: the other tools would only see a broken archive. */
function missingExports(folder, manifest) {
  const promised = (target) =>
    typeof target === "string" ? [target] : Object.values(target ?? {}).flatMap((inner) => promised(inner));
  return [...promised(manifest.exports), ...promised(manifest.bin)].filter((path) => !existsSync(join(folder, path)));
}

async function check(folder) {
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const problems = missingExports(folder, manifest).map((path) => `${path} does not exist`);
  if (problems.length === 0) {
    const entries = Object.keys(manifest.exports).filter((entry) => entry.endsWith(".json"));
    const exclude = entries.length > 0 ? ["--exclude-entrypoints", ...entries] : [];
    const steps = [
      [tool("publint"), ["run", folder, "--strict"]],
      [tool("attw"), ["--pack", folder, "--profile", "esm-only", "--no-color", "--no-emoji", ...exclude]],
    ];
    for (const [command, args] of steps) {
      await run(command, args, { cwd: root, maxBuffer: 8 << 20 }).catch((error) => {
        problems.push(`${error.stdout ?? ""}${error.stderr ?? ""}`.trim() || error.message);
      });
    }
  }
  process.stdout.write(
    problems.length === 0 ? `ok   ${manifest.name}\n` : `FAIL ${manifest.name}\n${problems.join("\n")}\n`,
  );
  return problems.length === 0;
}

const results = [];
const queue = [...folders];
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (let folder = queue.shift(); folder !== undefined; folder = queue.shift()) results.push(await check(folder));
  }),
);
if (results.includes(false)) process.exitCode = 1;
