import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Policy, PolicyError } from "@tulle/policy";
import { readPolicyFiles } from "@tulle/policy/file";

const FOLDER = join(import.meta.dirname, "..", "..", "policies");

/** The policies of the example. @throws PolicyError with every problem and its place. */
export const readPolicies = async (): Promise<readonly Policy[]> => {
  const names = (await readdir(FOLDER)).filter((name) => name.endsWith(".yaml")).sort();
  const texts = names.map((name) => readFile(join(FOLDER, name), "utf8").then((text) => ({ name, text })));
  const { policies, problems } = readPolicyFiles(await Promise.all(texts));
  if (problems.length > 0) throw new PolicyError(problems);
  return policies;
};
