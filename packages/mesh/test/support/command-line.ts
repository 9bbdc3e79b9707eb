import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Policy } from "@tulle/policy";
import type { MeshFixture } from "./mesh-fixture.ts";

const bin = fileURLToPath(new URL("../../../cli/bin/tulle.js", import.meta.url));

/** Runs the command `tulle` against a fixture's config-server and settles with what it prints as JSON. */
export const tulle = async <T>(fixture: MeshFixture, ...command: readonly string[]): Promise<T> => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--conditions=@tulle/source", "--disable-warning=ExperimentalWarning", bin, ...command, "--json"],
    { env: { ...process.env, TULLE_ADMIN: join(fixture.stateDir, "admin.json") } },
  );
  return JSON.parse(stdout) as T;
};

/** Writes policies to a file that `tulle apply` takes. */
export const policyFile = async (fixture: MeshFixture, policies: readonly Policy[]): Promise<string> => {
  const file = join(await fixture.folder(), "policies.json");
  await writeFile(file, JSON.stringify(policies));
  return file;
};
