import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseAllDocuments } from "yaml";
import { checkReferences } from "./check-references.ts";
import type { Policy } from "./policy.ts";
import { type PolicyPath, parsePath } from "./policy-path.ts";
import { describeProblem, type PolicyProblem } from "./policy-problem.ts";
import { parsePolicies } from "./schema/parse-policies.ts";

// The entry of the package that needs yaml and zod, which are optional peers.

/** One file of policies, read. */
export interface PolicyFile {
  /** Each with the file and the line where it begins as its origin. */
  readonly policies: readonly Policy[];
  /** Each with file, line and column. Empty: all that the file holds is in `policies`. */
  readonly problems: readonly PolicyProblem[];
  /** Sharpens a problem that somebody else found in one of these policies: from the policy's line to its field's. */
  locate(problem: PolicyProblem): PolicyProblem;
}

/**
 * Reads a file of policies: YAML 1.2 with one or several documents, or JSON. A document is one policy or a list of them;
 * empty documents are skipped. Anchors and aliases work, merge keys (`<<`) too. Checks each policy by itself.
 *
 * @param fileName stands in origins and problems as it is given.
 */
export const readPolicyFile = (text: string, fileName: string): PolicyFile => {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    lineCounter: lines,
    prettyErrors: false,
    merge: true,
    version: "1.2",
    // What it would print as a warning of the process is found by the schema, with its place.
    logLevel: "error",
  });
  const problems: PolicyProblem[] = [];
  const written: Written[] = [];
  const place = (offset: number): Pick<PolicyProblem, "origin" | "column"> => {
    const { line, col } = lines.linePos(offset);
    return { origin: { file: fileName, line }, column: col };
  };
  // Nothing at all is typed as a list with a mark on it, and read as an empty list.
  for (const document of documents as readonly Document.Parsed[]) {
    const faults = [...document.errors, ...document.warnings];
    for (const fault of faults)
      problems.push({ path: "", message: `not YAML: ${fault.message}`, ...place(fault.pos[0]) });
    if (faults.length === 0) written.push(...policiesIn(document, problems, place));
  }
  if (written.length === 0 && problems.length === 0) {
    problems.push({ path: "", message: "the file holds no policy", origin: { file: fileName, line: 1 }, column: 1 });
  }
  const byLine = new Map(written.map((each) => [lines.linePos(each.offset).line, each]));
  const locate = (problem: PolicyProblem): PolicyProblem => {
    const { origin } = problem;
    const found = origin?.file === fileName ? byLine.get(origin.line) : undefined;
    return found === undefined ? problem : { ...problem, ...place(offsetOf(found, parsePath(problem.path))) };
  };
  const parsed = parsePolicies(
    written.map(({ value }) => value),
    (index) => place(written[index]?.offset ?? 0).origin,
  );
  return { policies: parsed.policies, problems: [...problems, ...parsed.problems.map(locate)], locate };
};

/**
 * Reads several files that belong together (each name once), and checks how their policies fit. References are left unchecked while a
 * service, or something of which nobody can tell what it is, could not be read: they would all seem to lead nowhere.
 */
export const readPolicyFiles = (
  files: readonly { readonly name: string; readonly text: string }[],
): Pick<PolicyFile, "policies" | "problems"> => {
  const read = new Map(files.map(({ name, text }) => [name, readPolicyFile(text, name)]));
  const policies = [...read.values()].flatMap((file) => file.policies);
  const problems = [...read.values()].flatMap((file) => file.problems);
  const servicesAreKnown = problems.every(({ policy }) => policy !== undefined && !policy.startsWith("Service/"));
  if (!servicesAreKnown) return { policies, problems };
  const located = checkReferences(policies).map(
    (problem) => read.get(problem.origin?.file ?? "")?.locate(problem) ?? problem,
  );
  return { policies, problems: [...problems, ...located] };
};

/**
 * Prints a problem for people: `file:line:column path: message`, and, where the file's text is given, the line itself
 * with a caret under the place.
 */
export const formatProblem = (problem: PolicyProblem, text?: string): string => {
  const { origin, column } = problem;
  const line = origin === undefined || text === undefined ? undefined : text.split(/\r?\n/)[origin.line - 1];
  if (origin === undefined || line === undefined) return describeProblem(problem);
  const { suggestion, ...rest } = problem;
  const number = `${origin.line}`;
  const margin = " ".repeat(number.length);
  return [
    describeProblem(rest),
    `  ${number} | ${line}`,
    // Tabs stay tabs, so that the caret stands where the terminal shows the place.
    `  ${margin} | ${line.slice(0, (column ?? 1) - 1).replaceAll(/[^\t]/g, " ")}^`,
    ...(suggestion === undefined ? [] : [`  ${margin} = did you mean ${suggestion}?`]),
  ].join("\n");
};

/** One policy as it stands in the file. */
interface Written {
  readonly value: unknown;
  readonly document: Document.Parsed;
  readonly node: Node | null;
  readonly offset: number;
}

const policiesIn = (
  document: Document.Parsed,
  problems: PolicyProblem[],
  place: (offset: number) => Pick<PolicyProblem, "origin" | "column">,
): readonly Written[] => {
  const { contents } = document;
  if (contents === null || (isScalar(contents) && contents.value === null)) return [];
  const start = contents.range[0];
  try {
    const value: unknown = document.toJS();
    if (!isSeq(contents)) return [{ value, document, node: contents, offset: start }];
    return contents.items.map((item, at) => {
      const node = item as Node;
      return { value: Array.isArray(value) ? value[at] : undefined, document, node, offset: node.range?.[0] ?? start };
    });
  } catch (error) {
    // Aliases are counted when they are followed, not when they are read.
    problems.push({
      path: "",
      message: `not YAML: ${error instanceof Error ? error.message : error}`,
      ...place(start),
    });
    return [];
  }
};

/** Where a field begins: its key, or the item of a list; of what is missing, the place that lacks it. */
const offsetOf = ({ document, node, offset }: Written, path: PolicyPath): number => {
  let found = offset;
  let inside: unknown = node;
  for (const step of path) {
    const here = isAlias(inside) ? inside.resolve(document) : inside;
    if (isMap(here)) {
      const pair = here.items.find(({ key }) => isScalar(key) && String(key.value) === `${step}`);
      if (pair === undefined || !isScalar(pair.key)) return found;
      found = pair.key.range?.[0] ?? found;
      inside = pair.value;
    } else if (isSeq(here) && typeof step === "number") {
      const item = here.items[step];
      if (item === undefined) return found;
      inside = item;
      // Items of a parsed list are nodes.
      found = (item as Node).range?.[0] ?? found;
    } else return found;
  }
  return found;
};
