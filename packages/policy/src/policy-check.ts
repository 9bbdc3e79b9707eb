import { type DurationLimit, EMPTY_LIST, type NumberLimit, wrongDuration, wrongNumber } from "./field-limits.ts";
import { type Policy, policyKey } from "./policy.ts";
import { formatPath, type PolicyPath } from "./policy-path.ts";
import type { PolicyProblem } from "./policy-problem.ts";

/** Gathers the problems of one policy. A field that is not set is never wrong. */
export class Check {
  readonly problems: PolicyProblem[];
  readonly #policy: Policy;
  readonly #before: PolicyPath;

  constructor(policy: Policy, before: PolicyPath = [], problems: PolicyProblem[] = []) {
    this.#policy = policy;
    this.#before = before;
    this.problems = problems;
  }

  /** The same check for what stands below a field: all ways begin there. */
  under(path: PolicyPath): Check {
    return new Check(this.#policy, [...this.#before, ...path], this.problems);
  }

  report(path: PolicyPath, message: string, suggestion?: string): void {
    this.problems.push({
      policy: policyKey(this.#policy),
      path: formatPath([...this.#before, ...path]),
      message,
      ...(suggestion === undefined ? {} : { suggestion }),
      ...(this.#policy.origin === undefined ? {} : { origin: this.#policy.origin }),
    });
  }

  text(path: PolicyPath, text: string | undefined, wrong: (text: string) => string | undefined): void {
    const message = text === undefined ? undefined : wrong(text);
    if (message !== undefined) this.report(path, message);
  }

  number(path: PolicyPath, value: number | undefined, limit: NumberLimit): void {
    const message = value === undefined ? undefined : wrongNumber(value, limit);
    if (message !== undefined) this.report(path, message);
  }

  duration(path: PolicyPath, text: string | undefined, limit: DurationLimit): void {
    this.text(path, text, (written) => wrongDuration(written, limit));
  }

  /** A list that is there holds something. */
  list<T>(path: PolicyPath, items: readonly T[] | undefined, each: (path: PolicyPath, item: T) => void): void {
    if (items?.length === 0) this.report(path, EMPTY_LIST);
    for (const [at, item] of (items ?? []).entries()) each([...path, at], item);
  }

  texts(path: PolicyPath, texts: readonly string[] | undefined, wrong: (text: string) => string | undefined): void {
    this.list(path, texts, (at, text) => this.text(at, text, wrong));
  }
}
