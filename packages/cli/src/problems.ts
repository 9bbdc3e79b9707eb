import { describeProblem, type PolicyProblem } from "@tulle/policy";

/** One line per problem, with file and line where they are known, and what became of the rest. */
export const describeProblems = (problems: readonly PolicyProblem[]): string =>
  [...problems.map(describeProblem), problemCount(problems)].join("\n");

/** The last line under a list of problems. */
export const problemCount = (problems: readonly PolicyProblem[]): string =>
  `${problems.length === 1 ? "1 problem" : `${problems.length} problems`}; nothing was changed`;
