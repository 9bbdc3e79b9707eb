import type { PolicyOrigin } from "./policy-meta.ts";

/** One thing wrong with a policy. */
export interface PolicyProblem {
  /** Such as `Route/default/reviews`, when it is known. */
  readonly policy?: string;
  /** Way to the field: `rules[0].split[1].subset`; empty for the policy as a whole. */
  readonly path: string;
  readonly message: string;
  /** What to write instead, where that can be guessed. */
  readonly suggestion?: string;
  readonly origin?: PolicyOrigin;
  /** From 1. */
  readonly column?: number;
  /** The policy's place among those that were checked together, from 0. */
  readonly index?: number;
}

/** `place path: message, did you mean …`, on one line. */
export const describeProblem = (problem: PolicyProblem): string => {
  const { origin, column, policy, path, message, suggestion } = problem;
  const position = column === undefined ? "" : `:${column}`;
  const place = origin === undefined ? policy : `${origin.file}:${origin.line}${position}`;
  const where = [place, path].filter((part) => part !== undefined && part !== "").join(" ");
  const hint = suggestion === undefined ? "" : `; did you mean ${suggestion}?`;
  return `${where === "" ? "" : `${where}: `}${message}${hint}`;
};

/** Policies that cannot be taken, with all that is wrong with them. */
export class PolicyError extends Error {
  override readonly name: string = "PolicyError";
  readonly problems: readonly PolicyProblem[];

  constructor(problems: readonly PolicyProblem[]) {
    const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
    super([`${count} in the policies:`, ...problems.map((problem) => `  ${describeProblem(problem)}`)].join("\n"));
    this.problems = problems;
  }
}
