import type { RouteMatch, RoutePolicy, RouteRule } from "./route-policy.ts";
import { compilePathMatch, compileStringMatch, type RegexEngine } from "./string-match.ts";

/** What a call shows of itself when its rule is looked up. */
export interface RouteQuestion {
  /** Upper case. */
  readonly method: string;
  /** Path with query, as it is sent. */
  readonly path: string;
  /** The value of a header by its lower-case name; several values joined with ",". */
  header(name: string): string | undefined;
}

/** The rule that a call met. One object per rule, made when the routes were compiled. */
export interface RouteFound {
  readonly route: RoutePolicy;
  readonly rule: RouteRule;
  /** The rule's place in its route, from 0. */
  readonly ruleIndex: number;
}

/** Finds the first rule that fits. `undefined`: none does, and the route's `unmatched` decides. */
export type RouteMatcher = (question: RouteQuestion) => RouteFound | undefined;

/**
 * Compiles routes into one matcher. Routes and rules are tried in the order given; the first that fits wins. The matcher
 * makes at most one small object per call, and parses the query only when a rule that was reached asks for a parameter.
 */
export const compileRoutes = (routes: readonly RoutePolicy[], engine: RegexEngine): RouteMatcher => {
  const candidates: Candidate[] = [];
  for (const route of routes) {
    for (const [ruleIndex, rule] of route.rules.entries()) {
      const found: RouteFound = { route, rule, ruleIndex };
      const fits = compileAlternatives(rule.match, engine);
      candidates.push({ found, fits });
      // Nothing behind a rule for every call can be reached.
      if (fits === undefined) return matcherOf(candidates);
    }
  }
  return matcherOf(candidates);
};

/** Whether what was looked at fits; `undefined` stands for "every call" and costs nothing. */
type Test = (seen: Seen) => boolean;

interface Candidate {
  readonly found: RouteFound;
  readonly fits: Test | undefined;
}

const matcherOf = (candidates: readonly Candidate[]): RouteMatcher => {
  const [first] = candidates;
  if (first === undefined) return () => undefined;
  if (first.fits === undefined) return () => first.found;
  return (question) => {
    const seen = new Seen(question);
    for (const { found, fits } of candidates) {
      if (fits === undefined || fits(seen)) return found;
    }
    return undefined;
  };
};

const compileAlternatives = (matches: readonly RouteMatch[] | undefined, engine: RegexEngine): Test | undefined => {
  if (matches === undefined || matches.length === 0) return undefined;
  const tests: Test[] = [];
  for (const match of matches) {
    const test = compileMatch(match, engine);
    if (test === undefined) return undefined;
    tests.push(test);
  }
  const [only] = tests;
  if (tests.length === 1) return only;
  // Loops here and below: `some` and `every` would make a closure for each call.
  return (seen) => {
    for (const test of tests) if (test(seen)) return true;
    return false;
  };
};

const compileMatch = (match: RouteMatch, engine: RegexEngine): Test | undefined => {
  const tests: Test[] = [];
  // The cheapest first: a call is dismissed by its method before a pattern is run.
  const { methods, path } = match;
  if (methods !== undefined && methods.length > 0) tests.push((seen) => methods.includes(seen.question.method));
  if (path !== undefined) {
    const fits = compilePathMatch(path, engine);
    tests.push((seen) => fits(seen.path));
  }
  for (const [name, comparison] of Object.entries(match.headers ?? {})) {
    const fits = compileStringMatch(comparison, engine);
    const lowerCase = name.toLowerCase();
    tests.push((seen) => fits(seen.question.header(lowerCase)));
  }
  for (const [name, comparison] of Object.entries(match.query ?? {})) {
    const fits = compileStringMatch(comparison, engine);
    tests.push((seen) => fits(seen.parameter(name)));
  }
  const [only] = tests;
  if (tests.length <= 1) return only;
  return (seen) => {
    for (const test of tests) if (!test(seen)) return false;
    return true;
  };
};

/** One call under the eyes of the rules: holds what several of them ask for. */
class Seen {
  readonly question: RouteQuestion;
  readonly path: string;
  readonly #queryAt: number;
  #query: URLSearchParams | undefined;

  constructor(question: RouteQuestion) {
    this.question = question;
    this.#queryAt = question.path.indexOf("?");
    this.path = this.#queryAt < 0 ? question.path : question.path.slice(0, this.#queryAt);
  }

  parameter(name: string): string | undefined {
    if (this.#queryAt < 0) return undefined;
    this.#query ??= new URLSearchParams(this.question.path.slice(this.#queryAt));
    return this.#query.get(name) ?? undefined;
  }
}
