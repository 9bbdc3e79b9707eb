import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Policy, PolicyProblem } from "@tulle/policy";
import { formatProblem, type PolicyFile, readPolicyFile } from "@tulle/policy/file";
import type { Translation } from "@tulle/translate";
import { CommandFailure, exitCodes, usageFailure } from "./exit-code.ts";
import { problemCount } from "./problems.ts";
import {
  type DocumentOptions,
  documentsFailure,
  holdsDocuments,
  type ReadFile,
  readDocumentFile,
  translateFiles,
} from "./source-documents.ts";
import type { Terminal } from "./terminal.ts";

/** Policies as they stand in files, with the way back from a problem to its line. */
export interface PolicySources {
  /** Those of the files, and what documents of other origins became. */
  readonly policies: readonly Policy[];
  /** What documents of other origins became; `undefined` where there are none. */
  readonly translation: Translation | undefined;
  /** The files of those documents. */
  readonly documents: readonly ReadFile[];
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
 * Reads policies from files, from the YAML and JSON files in folders and below, and from the standard input (`-`). Files of
 * documents of Istio, Kubernetes and the Gateway API are translated, all of them together.
 *
 * @param options how such documents are read.
 * @param known asks for the policies that are there already; only where there are such documents.
 * @throws CommandFailure usage (2) for a path that cannot be read; refused (1) with every problem of every file.
 */
export const readPolicySources = async (
  terminal: Terminal,
  paths: readonly string[],
  options: DocumentOptions = {},
  known?: () => Promise<readonly Policy[]>,
): Promise<PolicySources> => {
  const files = await readFiles(terminal, paths);
  const foreign = files.filter(({ name, text }) => holdsDocuments(name, text));
  const sources = files
    .filter((file) => !foreign.includes(file))
    .map(({ name, text }): Source => ({ name, text, file: readPolicyFile(text, name) }));
  const failure = (problems: readonly PolicyProblem[]): CommandFailure => failureOf(sources, documents, problems);
  const documents = foreign.map(({ name, text }) => readDocumentFile(name, text, options));
  const problems = [...sources.flatMap(({ file }) => file.problems), ...documents.flatMap((each) => each.problems)];
  if (problems.length > 0) throw failure(problems);
  const own = sources.flatMap(({ file }) => file.policies);
  if (documents.length === 0) return { policies: own, translation: undefined, documents, failure };
  const translation = translateFiles(documents, options, [...own, ...((await known?.()) ?? [])]);
  const refused = translation.findings.filter(({ level }) => level === "refused");
  if (refused.length > 0) throw documentsFailure({ refused, files: documents, outcome: "; nothing was changed" });
  return { policies: [...own, ...translation.policies], translation, documents, failure };
};

/** A file as it was read. */
export interface SourceText {
  /** As it is shown: its path, or `<stdin>`. */
  readonly name: string;
  readonly text: string;
}

/** Reads files, the YAML and JSON files in folders and below, and the standard input (`-`). @throws CommandFailure usage */
export const readFiles = async (terminal: Terminal, paths: readonly string[]): Promise<readonly SourceText[]> => {
  const read: SourceText[] = [];
  for (const name of (await Promise.all(paths.map(filesAt))).flat()) {
    const text = name === "-" ? await terminal.readInput() : await readFile(name, "utf8");
    read.push({ name: name === "-" ? "<stdin>" : name, text });
  }
  return read;
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

const failureOf = (
  sources: readonly Source[],
  documents: readonly ReadFile[],
  problems: readonly PolicyProblem[],
): CommandFailure => {
  const located = problems.map((problem) =>
    sources.reduce((sharpened, { file }) => (sharpened === problem ? file.locate(problem) : sharpened), problem),
  );
  const texts = new Map([...sources, ...documents].map(({ name, text }) => [name, text]));
  const lines = located.map((problem) => formatProblem(problem, texts.get(problem.origin?.file ?? "")));
  return new CommandFailure(exitCodes.refused, [...lines, problemCount(problems)].join("\n"), {
    error: "invalid-policies",
    problems: located,
  });
};
