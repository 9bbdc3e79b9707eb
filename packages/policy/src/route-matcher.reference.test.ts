import fc from "fast-check";
import { expect, test } from "vitest";
import type { RouteMatch, RouteSource, SourceMatch } from "./route-match.ts";
import { compileRoutes, type RouteQuestion } from "./route-matcher.ts";
import type { RoutePolicy } from "./route-policy.ts";
import type { PathMatch, RegexEngine, StringMatch } from "./string-match.ts";

const engine: RegexEngine = (pattern) => {
  const whole = new RegExp(`^(?:${pattern})$`, "s");
  return (text) => whole.test(text);
};

const source: RouteSource = { service: "a", namespace: "b", labels: { a: "b" }, principal: "a/b" };

// A reading of the documentation word for word that tries one rule after the other and knows nothing of compiling.

const compare = (how: StringMatch, value: string | undefined): boolean => {
  const plain =
    "present" in how
      ? (value !== undefined) === how.present
      : value !== undefined &&
        ("exact" in how
          ? value === how.exact
          : "prefix" in how
            ? value.indexOf(how.prefix) === 0
            : "suffix" in how
              ? value.slice(Math.max(0, value.length - how.suffix.length)) === how.suffix
              : new RegExp(`^(?:${how.regex})$`).test(value));
  return how.invert === true ? !plain : plain;
};

const comparePath = (how: PathMatch, written: string, ignoreCase: boolean): boolean => {
  const fold = (text: string): string => (ignoreCase ? text.toLowerCase() : text);
  const path = fold(written);
  const plain = (): boolean => {
    if ("regex" in how) return new RegExp(`^(?:${how.regex})$`).test(written);
    if ("exact" in how) return path === fold(how.exact);
    if ("startsWith" in how) return path.indexOf(fold(how.startsWith)) === 0;
    if ("prefix" in how) {
      const wanted = fold(how.prefix)
        .split("/")
        .filter((part, at, all) => at < all.length - 1 || part !== "");
      const has = path.split("/");
      return wanted.every((part, at) => has[at] === part);
    }
    const pattern = how.template
      .split(/(\{[^}]*\}|\*\*|\*)/)
      .map((piece) => (/\*\*/.test(piece) ? ".*" : /[{*]/.test(piece) ? "[^/]+" : piece.replaceAll(".", "\\.")))
      .join("");
    return new RegExp(`^${pattern}$`, ignoreCase ? "i" : "").test(written);
  };
  return how.invert === true ? !plain() : plain();
};

const compareSource = (how: SourceMatch): boolean => {
  const plain =
    (how.service === undefined || (how.service === source.service && source.namespace === "default")) &&
    (how.namespace === undefined || how.namespace === source.namespace) &&
    Object.entries(how.labels ?? {}).every(([name, value]) => source.labels[name] === value) &&
    (how.identity === undefined || compare(how.identity, source.principal));
  return how.invert === true ? !plain : plain;
};

const compareMatch = (match: RouteMatch, question: RouteQuestion, drawn: number): boolean => {
  const [path = "", query = ""] = question.path.split("?");
  const headers = Object.entries(match.headers ?? {});
  const parameters = Object.entries(match.query ?? {});
  const first = (name: string) =>
    query
      .split("&")
      .find((each) => each.split("=")[0] === name)
      ?.split("=")[1];
  return (
    (match.path === undefined || comparePath(match.path, path, match.ignoreCase === true)) &&
    (match.methods === undefined || match.methods.includes(question.method)) &&
    (match.method === undefined || compare(match.method, question.method)) &&
    (match.scheme === undefined || compare(match.scheme, question.scheme)) &&
    (match.authority === undefined || compare(match.authority, question.authority)) &&
    (match.port === undefined || match.port === question.port) &&
    headers.every(([name, how]) => compare(how, question.header(name))) &&
    parameters.every(([name, how]) => compare(how, first(name))) &&
    (match.source === undefined || compareSource(match.source)) &&
    drawn * 100 < (match.fraction ?? 100)
  );
};

const scan = (routes: readonly RoutePolicy[], question: RouteQuestion, drawn: number): string | undefined => {
  for (const route of routes) {
    for (const [index, { match = [] }] of route.rules.entries()) {
      if (match.length === 0) return `${route.name}/${index}`;
      const met = match.find((each) => compareMatch(each, question, drawn));
      if (met !== undefined) return `${route.name}/${index}`;
    }
  }
  return undefined;
};

// Few letters, so that texts meet, begin with each other and differ by case alone.
const word = fc.constantFrom("a", "b", "ab", "A", "aB");

const inverted = <T extends object>(how: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.tuple(how, fc.boolean()).map(([each, invert]) => (invert ? { ...each, invert } : each));

const comparison: fc.Arbitrary<StringMatch> = inverted(
  fc.oneof(
    word.map((exact) => ({ exact })),
    word.map((prefix) => ({ prefix })),
    word.map((suffix) => ({ suffix })),
    fc.constantFrom("a+b?", "[ab]", ".*").map((regex) => ({ regex })),
    fc.boolean().map((present) => ({ present })),
  ),
);

const plainPath = fc.array(word, { maxLength: 4 }).map((parts) => `/${parts.join("/")}`);

const template = fc
  .tuple(
    fc.array(fc.oneof({ weight: 3, arbitrary: word }, fc.constantFrom("*", "{*}", "a*", "*b", "a*b")), {
      minLength: 1,
      maxLength: 4,
    }),
    fc.constantFrom("", "/**", "/{rest=**}", "/a**", "/**b"),
  )
  .map(([parts, rest]) => ({ template: `/${parts.join("/")}${rest}` }));

const path: fc.Arbitrary<PathMatch> = inverted<PathMatch>(
  fc.oneof<fc.Arbitrary<PathMatch>[]>(
    plainPath.map((exact) => ({ exact })),
    fc.tuple(plainPath, fc.constantFrom("", "/")).map(([prefix, slash]) => ({ prefix: prefix + slash })),
    plainPath.map((startsWith) => ({ startsWith })),
    fc
      .constantFrom("/a/.*", "/a*", "/ab?/b", "^/(a|b)/.*", "/a|/b", "/[ab]+", "/a/b{2}", "\\/a", "(?:/a)+")
      .map((regex) => ({ regex })),
    template,
  ),
);

const match: fc.Arbitrary<RouteMatch> = fc.record(
  {
    path,
    ignoreCase: fc.boolean(),
    methods: fc.constantFrom(["GET"], ["GET", "PUT"]),
    method: comparison,
    scheme: fc.constant({ exact: "http" }),
    authority: fc.constantFrom<StringMatch>({ exact: "a" }, { prefix: "a", invert: true }),
    port: fc.constantFrom(80, 81),
    headers: fc.dictionary(
      word.map((name) => name.toLowerCase()),
      comparison,
      { maxKeys: 2 },
    ),
    query: fc.dictionary(word, comparison, { maxKeys: 2 }),
    source: inverted(
      fc.record(
        { service: word, namespace: word, labels: fc.constant({ a: "b" }), identity: comparison },
        { requiredKeys: [] },
      ),
    ),
    fraction: fc.constantFrom(0, 50, 100),
  },
  { requiredKeys: [] },
);

/** Mostly paths, as tables are, and some that look at a header alone. */
const mostlyPath: fc.Arbitrary<RouteMatch> = fc.oneof(
  { weight: 3, arbitrary: path.map((each) => ({ path: each })) },
  fc
    .dictionary(
      fc.constantFrom("a", "b", "ab"),
      word.map((exact) => ({ exact })),
      { minKeys: 1, maxKeys: 2 },
    )
    .map((headers) => ({ headers })),
  match,
);

const routesOf = (rules: { readonly min: number; readonly max: number }): fc.Arbitrary<readonly RoutePolicy[]> =>
  fc
    .array(
      fc.array(fc.record({ match: fc.array(mostlyPath, { minLength: 1, maxLength: 2 }) }), {
        minLength: rules.min,
        maxLength: rules.max,
      }),
      { minLength: 1, maxLength: 2 },
    )
    .map((all) =>
      all.map((each, at): RoutePolicy => ({ kind: "Route", name: `r${at}`, services: ["s"], rules: each })),
    );

const question: fc.Arbitrary<RouteQuestion> = fc
  .record({
    path: plainPath,
    query: fc.array(fc.tuple(word, word), { maxLength: 2 }),
    headers: fc.dictionary(
      word.map((name) => name.toLowerCase()),
      word,
      { maxKeys: 2 },
    ),
    method: fc.constantFrom("GET", "PUT", "a"),
    scheme: fc.constantFrom("http", "https"),
    authority: fc.constantFrom("a", "ab"),
    port: fc.constantFrom(80, 81),
  })
  .map(({ path: asked, query, headers, ...rest }) => ({
    ...rest,
    path: query.length === 0 ? asked : `${asked}?${query.map((pair) => pair.join("=")).join("&")}`,
    header: (name: string) => headers[name],
  }));

test.each([
  ["a few rules", { min: 1, max: 3 }],
  ["many rules", { min: 8, max: 60 }],
])("of %s, finds what a scan finds", (_what, size) => {
  fc.assert(
    fc.property(
      routesOf(size),
      fc.array(question, { minLength: 1, maxLength: 20 }),
      fc.constantFrom(0, 0.5, 0.99),
      (routes, questions, drawn) => {
        const find = compileRoutes(routes, engine, { source, random: () => drawn });
        for (const each of questions) {
          const found = find(each);
          expect(found && `${found.route.name}/${found.ruleIndex}`).toBe(scan(routes, each, drawn));
        }
      },
    ),
    { numRuns: 300 },
  );
});
