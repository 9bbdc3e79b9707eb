import { checkReferences } from "./check-references.ts";
import type { Policy } from "./policy.ts";
import { parsePath } from "./policy-path.ts";
import { describeProblem, type PolicyProblem } from "./policy-problem.ts";
import { parsePolicies } from "./schema/parse-policies.ts";
import { readYamlValues } from "./yaml-values.ts";

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
  const { values, problems: faults } = readYamlValues(text, fileName);
  const problems: PolicyProblem[] = [...faults];
  if (values.length === 0 && problems.length === 0) {
    problems.push({ path: "", message: "the file holds no policy", origin: { file: fileName, line: 1 }, column: 1 });
  }
  const byLine = new Map(values.map((each) => [each.place.origin.line, each]));
  const locate = (problem: PolicyProblem): PolicyProblem => {
    const { origin } = problem;
    const found = origin?.file === fileName ? byLine.get(origin.line) : undefined;
    return found === undefined ? problem : { ...problem, ...found.placeOf(parsePath(problem.path)) };
  };
  const parsed = parsePolicies(
    values.map(({ value }) => value),
    (index) => values[index]?.place.origin,
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
