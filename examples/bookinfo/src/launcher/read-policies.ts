import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Policy } from "@tulle/policy";
import { parsePolicies } from "@tulle/policy/file";

const FOLDER = join(import.meta.dirname, "..", "..", "policies");

/** The policies of the example. @throws PolicyError with every problem and its place. */
export const readPolicies = async (): Promise<readonly Policy[]> => {
  const names = (await readdir(FOLDER)).filter((name) => name.endsWith(".yaml")).sort();
  const files = await Promise.all(names.map((name) => readFile(join(FOLDER, name), "utf8")));
  return names.flatMap((name, index) => parsePolicies(files[index] ?? "", { file: name }));
};
