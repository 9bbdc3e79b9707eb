import { compileAuthorityMatch } from "./authority-match.ts";
import { HeaderIndex } from "./header-index.ts";
import { Candidates, PathIndex, type PathPlace, placeOf, stemOf } from "./path-index.ts";
import { fitsTemplate, lowerCaseTemplate, parsePathTemplate } from "./path-template.ts";
import { DEFAULT_PERCENT, fallsWithin } from "./percent.ts";
import { namespaceOf } from "./policy-meta.ts";
import { compileSourceMatch, type RouteMatch, type RouteSource } from "./route-match.ts";
import type { RoutePolicy, RouteRule } from "./route-policy.ts";
import { compileStringMatch, type PathMatch, proofOf, type RegexEngine } from "./string-match.ts";

/** What a call shows of itself when its rule is looked up. */
export interface RouteQuestion {
  /** Upper case. */
  readonly method: string;
  /** Path with query, as it is sent. */
  readonly path: string;
  /** `http` or `https`, as the caller wrote it. */
  readonly scheme: string;
  /** Host as the caller wrote it, with the port if there was one. */
  readonly authority: string;
  /** The service port. */
  readonly port: number;
  /** The value of a header by its lower-case name; several values joined with ",". */
  header(name: string): string | undefined;
}

/** The rule that a call met. One object per alternative of a rule, made when the routes were compiled. */
export interface RouteFound {
  readonly route: RoutePolicy;
  readonly rule: RouteRule;
  /** The rule's place in its route, from 0. */
  readonly ruleIndex: number;
  /** Which of the rule's alternatives it was; `undefined` for a rule for every call. */
  readonly match: RouteMatch | undefined;
}

/** Finds the first rule that fits. `undefined`: none does, and the route's `unmatched` decides. */
export type RouteMatcher = (question: RouteQuestion) => RouteFound | undefined;

/** For whom routes are compiled. */
export interface RouteViewer {
  /** Whose calls they are. */
  readonly source: RouteSource;
  /** Draws fractions: from 0 (included) to 1 (excluded). */
  readonly random: () => number;
}

/** Routes whose comparisons are compiled, whoever calls. */
export interface PreparedRoutes {
  /** Makes the matcher of one caller. Without one, every source and every fraction above 0 is taken to fit. */
  matcherFor(viewer?: RouteViewer): RouteMatcher;
}

/**
 * Compiles routes into one matcher. Routes and rules are tried in the order given; the first that fits wins. The matcher
 * makes at most one small object per call, and parses the query only when a rule that was reached asks for a parameter.
 */
export const compileRoutes = (
  routes: readonly RoutePolicy[],
  engine: RegexEngine,
  viewer?: RouteViewer,
): RouteMatcher => prepareRoutes(routes, engine).matcherFor(viewer);

/**
 * Compiles all comparisons of routes, which is the dear part and is the same for every caller.
 *
 * @throws SyntaxError when a pattern is not RE2, RangeError when a template is none.
 */
export const prepareRoutes = (routes: readonly RoutePolicy[], engine: RegexEngine): PreparedRoutes => {
  const prepared = routes.flatMap((route) =>
    route.rules.flatMap((rule, ruleIndex) => {
      const matches: readonly (RouteMatch | undefined)[] =
        rule.match === undefined || rule.match.length === 0 ? [undefined] : rule.match;
      return matches.map((match) => prepareMatch({ route, rule, ruleIndex, match }, engine));
    }),
  );
  return { matcherFor: (viewer) => assemble(prepared, viewer) };
};

/** Whether what was looked at fits. */
type Test = (seen: Seen) => boolean;

interface PreparedMatch {
  readonly found: RouteFound;
  readonly place: PathPlace;
  readonly fitsPath: ((path: string) => boolean) | undefined;
  /** Asked before the path: a call is dismissed by its method before a pattern is run. */
  readonly cheap: readonly Test[];
  /** Asked behind the path, because they search. */
  readonly dear: readonly Test[];
  readonly fitsSource: ((source: RouteSource) => boolean) | undefined;
  readonly fraction: number;
}

const prepareMatch = (found: RouteFound, engine: RegexEngine): PreparedMatch => {
  const { path, ignoreCase = false, source, fraction = DEFAULT_PERCENT, ...rest } = found.match ?? {};
  return {
    found,
    place: placeOf(path, ignoreCase),
    fitsPath: path === undefined ? undefined : compilePathMatch(path, ignoreCase, engine),
    cheap: compileCheap(rest, engine),
    dear: compileDear(rest, engine),
    fitsSource: source === undefined ? undefined : compileSourceMatch(source, namespaceOf(found.route), engine),
    fraction,
  };
};

/** Compiles the comparison of a path without its query. */
const compilePathMatch = (match: PathMatch, ignoreCase: boolean, engine: RegexEngine): ((path: string) => boolean) => {
  const plain = compilePlainPath(match, ignoreCase, engine);
  const fits = ignoreCase && !("regex" in match) ? (path: string) => plain(path.toLowerCase()) : plain;
  return match.invert === true ? (path) => !fits(path) : fits;
};

const compilePlainPath = (match: PathMatch, ignoreCase: boolean, engine: RegexEngine): ((path: string) => boolean) => {
  const lower = (text: string): string => (ignoreCase ? text.toLowerCase() : text);
  if ("regex" in match) return engine(match.regex, proofOf(match));
  if ("exact" in match) {
    const exact = lower(match.exact);
    return (path) => path === exact;
  }
  if ("startsWith" in match) {
    const beginning = lower(match.startsWith);
    return (path) => path.startsWith(beginning);
  }
  if ("prefix" in match) {
    const stem = stemOf(lower(match.prefix));
    return (path) => path.startsWith(stem) && (path.length === stem.length || path[stem.length] === "/");
  }
  const parts = parsePathTemplate(ignoreCase ? lowerCaseTemplate(match.template) : match.template);
  if ("wrong" in parts) throw new RangeError(`"${match.template}" is not a template: ${parts.wrong}`);
  return (path) => fitsTemplate(parts, path);
};

type Remaining = Omit<RouteMatch, "path" | "ignoreCase" | "source" | "fraction">;

const compileCheap = ({ methods, method, scheme, port }: Remaining, engine: RegexEngine): readonly Test[] => {
  const tests: Test[] = [];
  if (methods !== undefined && methods.length > 0) tests.push((seen) => methods.includes(seen.question.method));
  if (method !== undefined) {
    const fits = compileStringMatch(method, engine);
    tests.push((seen) => fits(seen.question.method));
  }
  if (port !== undefined) tests.push((seen) => seen.question.port === port);
  if (scheme !== undefined) {
    const fits = compileStringMatch(scheme, engine);
    tests.push((seen) => fits(seen.question.scheme));
  }
  return tests;
};

const compileDear = ({ authority, headers, query }: Remaining, engine: RegexEngine): readonly Test[] => {
  const tests: Test[] = [];
  if (authority !== undefined) {
    const fits = compileAuthorityMatch(authority, engine);
    tests.push((seen) => fits(seen.question.authority));
  }
  for (const [name, comparison] of Object.entries(headers ?? {})) {
    const fits = compileStringMatch(comparison, engine);
    const lowerCase = name.toLowerCase();
    tests.push((seen) => fits(seen.header(lowerCase)));
  }
  for (const [name, comparison] of Object.entries(query ?? {})) {
    const fits = compileStringMatch(comparison, engine);
    tests.push((seen) => fits(seen.parameter(name)));
  }
  return tests;
};

/** One alternative of one rule, as far as the caller leaves it undecided. */
interface Entry {
  readonly order: number;
  readonly found: RouteFound;
  /** `undefined` stands for "every call" and costs nothing. */
  readonly fits: Test | undefined;
}

const assemble = (prepared: readonly PreparedMatch[], viewer: RouteViewer | undefined): RouteMatcher => {
  const open: PreparedMatch[] = [];
  for (const match of prepared) {
    const { fitsSource, fraction } = match;
    if (fraction <= 0) continue;
    if (viewer !== undefined && fitsSource !== undefined && !fitsSource(viewer.source)) continue;
    open.push(match);
    // Nothing behind a rule for every call can be reached.
    if (fitsEvery(match, viewer)) break;
  }
  const [first] = open;
  if (first === undefined) return () => undefined;
  if (fitsEvery(first, viewer)) return () => first.found;
  return indexed(open, viewer);
};

const fitsEvery = ({ fitsPath, cheap, dear, fraction }: PreparedMatch, viewer: RouteViewer | undefined): boolean =>
  fitsPath === undefined && cheap.length === 0 && dear.length === 0 && (fraction >= 100 || viewer === undefined);

const indexed = (matches: readonly PreparedMatch[], viewer: RouteViewer | undefined): RouteMatcher => {
  const index = new PathIndex<Entry>();
  const byHeader = new HeaderIndex<Entry>();
  for (const [order, match] of matches.entries()) {
    const { place, found } = match;
    const entry = entryOf(match, order, viewer);
    // A path tells more apart than a header does, and is there without being searched for.
    if (place.way.length > 0 || place.follow !== "anything" || !byHeader.add(found.match, entry))
      index.add(place, entry);
  }
  // One for all calls: a call is matched from beginning to end before the next.
  const candidates = new Candidates<Entry>();
  return (question) => {
    const seen = new Seen(question);
    candidates.clear();
    index.gather(seen.path, candidates);
    byHeader.gather(seen, candidates);
    for (let entry = candidates.next(); entry !== undefined; entry = candidates.next()) {
      if (entry.fits === undefined || entry.fits(seen)) return entry.found;
    }
    return undefined;
  };
};

const entryOf = (
  { found, place, fitsPath, cheap, dear, fraction }: PreparedMatch,
  order: number,
  viewer: RouteViewer | undefined,
): Entry => {
  const all = [...cheap];
  if (place.partial && fitsPath !== undefined) all.push((seen) => fitsPath(seen.path));
  all.push(...dear);
  // Last: it is a share of the calls that fit otherwise.
  if (fraction < 100 && viewer !== undefined) all.push(() => fallsWithin(fraction, viewer.random));
  return { order, found, fits: allOf(all) };
};

const allOf = (tests: readonly Test[]): Test | undefined => {
  const [first, second] = tests;
  if (first === undefined || tests.length === 1) return first;
  if (second !== undefined && tests.length === 2) return (seen) => first(seen) && second(seen);
  // `every` would make a closure for each call.
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
  #headerName: string | undefined;
  #headerValue: string | undefined;

  constructor(question: RouteQuestion) {
    this.question = question;
    this.#queryAt = question.path.indexOf("?");
    this.path = this.#queryAt < 0 ? question.path : question.path.slice(0, this.#queryAt);
  }

  /** Remembers the last one: rules in a row often ask for the same. */
  header(name: string): string | undefined {
    if (this.#headerName !== name) {
      this.#headerName = name;
      this.#headerValue = this.question.header(name);
    }
    return this.#headerValue;
  }

  parameter(name: string): string | undefined {
    if (this.#queryAt < 0) return undefined;
    this.#query ??= new URLSearchParams(this.question.path.slice(this.#queryAt));
    return this.#query.get(name) ?? undefined;
  }
}
