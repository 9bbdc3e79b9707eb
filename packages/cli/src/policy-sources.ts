import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Policy, PolicyProblem } from "@tulle/policy";
import { formatProblem, type PolicyFile, readPolicyFile } from "@tulle/policy/file";
import { CommandFailure, exitCodes, usageFailure } from "./exit-code.ts";
import { problemCount } from "./problems.ts";
import type { Terminal } from "./terminal.ts";

/** Policies as they stand in files, with the way back from a problem to its line. */
export interface PolicySources {
  readonly policies: readonly Policy[];
  /** Sharpens problems that the config-server found to line and column, and makes a failure that shows the lines. */
  failure(problems: readonly PolicyProblem[]): CommandFailure;
}

interface Source {
  readonly name: string;
  readonly text: string;
  readonly file: PolicyFile;
}

/** What a folder is searched for. */
const POLICY_FILE = /\.(ya?ml|json)$/i;

/** Files of one apply. */
const MAX_FILES = 10_000;

/**
 * Reads policies from files, from the YAML and JSON files in folders and below, and from the standard input (`-`).
 *
 * @throws CommandFailure usage (2) for a path that cannot be read; refused (1) with every problem of every file.
 */
export const readPolicySources = async (terminal: Terminal, paths: readonly string[]): Promise<PolicySources> => {
  const sources: Source[] = [];
  for (const name of (await Promise.all(paths.map(filesAt))).flat()) {
    const text = name === "-" ? await terminal.readInput() : await readFile(name, "utf8");
    const shown = name === "-" ? "<stdin>" : name;
    sources.push({ name: shown, text, file: readPolicyFile(text, shown) });
  }
  const failure = (problems: readonly PolicyProblem[]): CommandFailure => failureOf(sources, problems);
  const problems = sources.flatMap(({ file }) => file.problems);
  if (problems.length > 0) throw failure(problems);
  return { policies: sources.flatMap(({ file }) => file.policies), failure };
};

const filesAt = async (path: string): Promise<readonly string[]> => {
  if (path === "-") return [path];
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw usageFailure(`${path}: ${error.code === "ENOENT" ? "there is no such file or folder" : error.message}`);
  });
  if (!found.isDirectory()) return [path];
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile() && POLICY_FILE.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  if (files.length === 0) throw usageFailure(`${path}: the folder holds no .yaml, .yml or .json file`);
  if (files.length > MAX_FILES) throw usageFailure(`${path}: more than ${MAX_FILES} files`);
  return files;
};

const failureOf = (sources: readonly Source[], problems: readonly PolicyProblem[]): CommandFailure => {
  const located = problems.map((problem) =>
    sources.reduce((sharpened, { file }) => (sharpened === problem ? file.locate(problem) : sharpened), problem),
  );
  const texts = new Map(sources.map(({ name, text }) => [name, text]));
  const lines = located.map((problem) => formatProblem(problem, texts.get(problem.origin?.file ?? "")));
  return new CommandFailure(exitCodes.refused, [...lines, problemCount(problems)].join("\n"), {
    error: "invalid-policies",
    problems: located,
  });
};
