import fc from "fast-check";
import { expect, test } from "vitest";
import { compileRoutes, type RouteQuestion } from "./route-matcher.ts";
import type { RouteMatch, RoutePolicy } from "./route-policy.ts";
import type { PathMatch, RegexEngine, StringMatch } from "./string-match.ts";

const engine: RegexEngine = (pattern) => {
  const whole = new RegExp(`^(?:${pattern})$`, "s");
  return (text) => whole.test(text);
};

const asked = (path: string, headers: Record<string, string> = {}, method = "GET"): RouteQuestion => ({
  method,
  path,
  header: (name) => headers[name],
});

const fits = (match: RouteMatch, question: RouteQuestion): boolean =>
  compileRoutes([{ kind: "Route", name: "r", services: ["s"], rules: [{ match: [match] }] }], engine)(question) !==
  undefined;

test.each<[PathMatch, string, boolean]>([
  [{ exact: "/a" }, "/a", true],
  [{ exact: "/a" }, "/a?b=c", true],
  [{ exact: "/a" }, "/a/", false],
  [{ exact: "/a" }, "/A", false],
  [{ prefix: "/a" }, "/a", true],
  [{ prefix: "/a" }, "/a/b?c", true],
  [{ prefix: "/a" }, "/ab", false],
  [{ prefix: "/a" }, "/a?b", true],
  [{ prefix: "/a/" }, "/a", true],
  [{ prefix: "/a/" }, "/a/b", true],
  [{ prefix: "/a/" }, "/ab", false],
  [{ prefix: "/" }, "/anything", true],
  [{ prefix: "/" }, "/", true],
  [{ regex: "/reviews/\\d+" }, "/reviews/7?full=1", true],
  [{ regex: "/reviews/\\d+" }, "/reviews/7/8", false],
  [{ regex: "reviews" }, "/reviews", false],
  [{ regex: "/a|/b" }, "/a/b", false],
])("path %j on %s: %s", (path, asks, expected) => {
  expect(fits({ path }, asked(asks))).toBe(expected);
});

test.each<[StringMatch, string | undefined, boolean]>([
  [{ exact: "jason" }, "jason", true],
  [{ exact: "jason" }, "Jason", false],
  [{ exact: "jason" }, undefined, false],
  [{ exact: "jason", invert: true }, undefined, true],
  [{ prefix: "ja" }, "jason", true],
  [{ suffix: "on" }, "jason", true],
  [{ suffix: "on" }, "one", false],
  [{ regex: "ja.*" }, "jason", true],
  [{ regex: "a" }, "jason", false],
  [{ regex: ".*" }, undefined, false],
  [{ present: true }, "", true],
  [{ present: true }, undefined, false],
  [{ present: false }, undefined, true],
  [{ present: false }, "x", false],
  [{ present: true, invert: true }, undefined, true],
])("comparison %j with %j: %s, as header and as query", (comparison, value, expected) => {
  expect(
    fits({ headers: { "End-User": comparison } }, asked("/", value === undefined ? {} : { "end-user": value })),
  ).toBe(expected);
  const query = value === undefined ? "" : `?user=${encodeURIComponent(value)}&user=second`;
  expect(fits({ query: { user: comparison } }, asked(`/${query}`))).toBe(expected);
});

test("all fields of a match hold together, alternatives do not", () => {
  const both: RouteMatch = { methods: ["GET", "HEAD"], path: { prefix: "/a" }, headers: { x: { exact: "1" } } };
  expect(fits(both, asked("/a", { x: "1" }, "HEAD"))).toBe(true);
  expect(fits(both, asked("/a", { x: "1" }, "POST"))).toBe(false);
  expect(fits(both, asked("/a", {}, "GET"))).toBe(false);
  const routes: RoutePolicy[] = [
    { kind: "Route", name: "r", services: ["s"], rules: [{ match: [both, { path: { exact: "/z" } }] }] },
  ];
  expect(compileRoutes(routes, engine)(asked("/z"))).toBeDefined();
});

test("the first rule that fits wins, over all routes in their order", () => {
  const [first, second]: [RoutePolicy, RoutePolicy] = [
    {
      kind: "Route",
      name: "1",
      services: ["s"],
      rules: [{ match: [{ path: { exact: "/a" } }] }, { match: [{ path: { prefix: "/b" } }] }],
    },
    {
      kind: "Route",
      name: "2",
      services: ["s"],
      rules: [{ match: [{ path: { prefix: "/a" } }] }, {}, { name: "never" }],
    },
  ];
  const find = compileRoutes([first, second], engine);
  const place = (path: string) => [find(asked(path))?.route.name, find(asked(path))?.ruleIndex];
  expect(place("/a")).toEqual(["1", 0]);
  expect(place("/b/c")).toEqual(["1", 1]);
  expect(place("/a/c")).toEqual(["2", 0]);
  expect(place("/c")).toEqual(["2", 1]);
  expect(compileRoutes([], engine)(asked("/"))).toBeUndefined();
  expect(compileRoutes([first], engine)(asked("/c"))).toBeUndefined();
});

test("the engine learns whether the pattern was proven linear", () => {
  const proofs: unknown[] = [];
  const spy: RegexEngine = (pattern, proof) => {
    proofs.push([pattern, proof]);
    return () => true;
  };
  const match: RouteMatch = { path: { regex: "a" }, headers: { x: { regex: "b", linear: true } } };
  compileRoutes([{ kind: "Route", name: "r", services: ["s"], rules: [{ match: [match] }] }], spy);
  expect(proofs).toEqual([
    ["a", {}],
    ["b", { linear: true }],
  ]);
});

test("the query is not parsed for a rule that fits before one asks for a parameter", () => {
  const real = globalThis.URLSearchParams;
  let parsed = 0;
  globalThis.URLSearchParams = class extends real {
    constructor(text?: string) {
      super(text);
      parsed++;
    }
  };
  try {
    const find = compileRoutes(
      [
        {
          kind: "Route",
          name: "r",
          services: ["s"],
          rules: [
            { match: [{ path: { exact: "/a" } }] },
            { match: [{ query: { b: { exact: "1" } } }] },
            { match: [{ query: { b: { exact: "2" } } }] },
          ],
        },
      ],
      engine,
    );
    expect(find(asked("/a?b=2"))?.ruleIndex).toBe(0);
    expect(parsed).toBe(0);
    expect(find(asked("/c?b=2"))?.ruleIndex).toBe(2);
    expect(parsed).toBe(1);
  } finally {
    globalThis.URLSearchParams = real;
  }
});

// A reference that follows the documentation word for word and knows nothing of compiling.
const naive = (routes: readonly RoutePolicy[], question: RouteQuestion): string | undefined => {
  const [path = "", query = ""] = question.path.split("?");
  const compare = (how: StringMatch, value: string | undefined): boolean => {
    const plain =
      "present" in how
        ? (value !== undefined) === how.present
        : value !== undefined &&
          ("exact" in how
            ? value === how.exact
            : "prefix" in how
              ? value.indexOf(how.prefix) === 0
              : "suffix" in how &&
                value.lastIndexOf(how.suffix) === value.length - how.suffix.length &&
                value.length >= how.suffix.length);
    return how.invert === true ? !plain : plain;
  };
  for (const route of routes) {
    for (const [index, rule] of route.rules.entries()) {
      const alternatives = rule.match ?? [];
      const one = (match: RouteMatch): boolean => {
        if (match.methods && !match.methods.includes(question.method)) return false;
        if (match.path && "exact" in match.path && match.path.exact !== path) return false;
        if (match.path && "prefix" in match.path) {
          const wanted = match.path.prefix.split("/").filter((part, at) => at === 0 || part !== "");
          const has = path.split("/");
          if (!wanted.every((part, at) => has[at] === part)) return false;
        }
        for (const [name, how] of Object.entries(match.headers ?? {}))
          if (!compare(how, question.header(name))) return false;
        for (const [name, how] of Object.entries(match.query ?? {})) {
          const pair = query.split("&").find((each) => each.split("=")[0] === name);
          if (!compare(how, pair?.split("=")[1])) return false;
        }
        return true;
      };
      if (alternatives.length === 0 || alternatives.some(one)) return `${route.name}/${index}`;
    }
  }
  return undefined;
};

test("finds what a naive reading of the rules finds", () => {
  const word = fc.constantFrom("a", "b", "ab");
  const comparison: fc.Arbitrary<StringMatch> = fc
    .tuple(
      fc.oneof(
        word.map((exact) => ({ exact })),
        word.map((prefix) => ({ prefix })),
        word.map((suffix) => ({ suffix })),
        fc.boolean().map((present) => ({ present })),
      ),
      fc.boolean(),
    )
    .map(([how, invert]) => ({ ...how, invert }));
  const path = fc.array(word, { maxLength: 3 }).map((parts) => `/${parts.join("/")}`);
  const match: fc.Arbitrary<RouteMatch> = fc.record(
    {
      path: fc.oneof(
        path.map((exact) => ({ exact })),
        path.map((prefix) => ({ prefix })),
      ),
      methods: fc.constant(["GET"]),
      headers: fc.dictionary(word, comparison, { maxKeys: 2 }),
      query: fc.dictionary(word, comparison, { maxKeys: 2 }),
    },
    { requiredKeys: [] },
  );
  const rule = fc.record({ match: fc.array(match, { maxLength: 2 }) }, { requiredKeys: [] });
  const route = fc
    .tuple(word, fc.array(rule, { minLength: 1, maxLength: 3 }))
    .map(([name, rules]): RoutePolicy => ({ kind: "Route", name, services: ["s"], rules }));
  const pairs = fc.array(fc.tuple(word, word), { maxLength: 2 });
  fc.assert(
    fc.property(
      fc.array(route, { maxLength: 3 }),
      path,
      pairs,
      fc.dictionary(word, word, { maxKeys: 2 }),
      fc.constantFrom("GET", "POST"),
      (routes, path, query, headers, method) => {
        const text = query.length === 0 ? path : `${path}?${query.map((pair) => pair.join("=")).join("&")}`;
        const question = asked(text, headers, method);
        const found = compileRoutes(routes, engine)(question);
        expect(found && `${found.route.name}/${found.ruleIndex}`).toBe(naive(routes, question));
      },
    ),
  );
});
