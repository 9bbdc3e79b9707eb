import { expect, test } from "vitest";
import type { RouteMatch, RouteSource } from "./route-match.ts";
import { compileRoutes, type RouteQuestion } from "./route-matcher.ts";
import type { RoutePolicy } from "./route-policy.ts";
import type { PathMatch, RegexEngine, StringMatch } from "./string-match.ts";

const engine: RegexEngine = (pattern) => {
  const whole = new RegExp(`^(?:${pattern})$`, "s");
  return (text) => whole.test(text);
};

const asked = (
  path: string,
  headers: Record<string, string> = {},
  method = "GET",
  rest: Partial<RouteQuestion> = {},
): RouteQuestion => ({
  method,
  path,
  scheme: "http",
  authority: "reviews",
  port: 80,
  ...rest,
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
  [{ startsWith: "/a" }, "/ab?c", true],
  [{ startsWith: "/a/" }, "/a", false],
  [{ template: "/reviews/{id}/stars" }, "/reviews/7/stars?full=1", true],
  [{ template: "/reviews/{id}/stars" }, "/reviews/7/8/stars", false],
  [{ exact: "/a", invert: true }, "/a", false],
  [{ exact: "/a", invert: true }, "/b", true],
  [{ prefix: "/a", invert: true }, "/ab", true],
  [{ template: "/{id}", invert: true }, "/a", false],
  // As it is sent: an escape is not what it stands for, and slashes are not merged.
  [{ exact: "/a" }, "/%61", false],
  [{ exact: "/a/b" }, "/a//b", false],
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

test.each<[PathMatch, string, boolean]>([
  [{ exact: "/A" }, "/a", true],
  [{ prefix: "/a/B" }, "/A/b/c", true],
  [{ startsWith: "/Ab" }, "/aBc", true],
  [{ template: "/Reviews/{id}" }, "/reviews/X", true],
  [{ exact: "/A", invert: true }, "/a", false],
  [{ exact: "/A" }, "/b", false],
])("without case, path %j on %s: %s", (path, asks, expected) => {
  expect(fits({ path, ignoreCase: true }, asked(asks))).toBe(expected);
});

test.each<[StringMatch, string, boolean]>([
  [{ exact: "reviews" }, "reviews", true],
  [{ exact: "Reviews" }, "REVIEWS:8080", true],
  [{ exact: "reviews:8080" }, "reviews:8080", true],
  [{ exact: "reviews:8080" }, "reviews", false],
  [{ exact: "reviews" }, "reviews.default.svc.cluster.local", false],
  [{ prefix: "reviews." }, "reviews.default:80", true],
  [{ suffix: ".Svc.cluster.local" }, "reviews.default.svc.cluster.local:80", true],
  [{ suffix: ":80" }, "reviews:80", true],
  [{ regex: "reviews(:\\d+)?" }, "Reviews:80", true],
  [{ regex: "reviews" }, "reviews:80", false],
  [{ exact: "[::1]" }, "[::1]:80", true],
  [{ exact: "reviews", invert: true }, "reviews:80", false],
  [{ present: true }, "reviews", true],
])("authority %j on %s: %s", (authority, asks, expected) => {
  expect(fits({ authority }, asked("/", {}, "GET", { authority: asks }))).toBe(expected);
});

test("method, scheme and port are compared as well", () => {
  expect(fits({ method: { prefix: "P" } }, asked("/", {}, "PUT"))).toBe(true);
  expect(fits({ method: { regex: "GET|HEAD", invert: true } }, asked("/"))).toBe(false);
  expect(fits({ scheme: { exact: "https" } }, asked("/", {}, "GET", { scheme: "https" }))).toBe(true);
  expect(fits({ scheme: { exact: "https" } }, asked("/"))).toBe(false);
  expect(fits({ port: 8080 }, asked("/", {}, "GET", { port: 8080 }))).toBe(true);
  expect(fits({ port: 8080 }, asked("/"))).toBe(false);
});

test.each([
  ["?user=jason", true],
  ["?user=ann&user=jason", false],
  ["?%75ser=%6Aason", true],
  ["?other=1&user=jason", true],
  ["?user=jason+x", false],
  ["?User=jason", false],
  ["?user", false],
])("the query %s is decoded, and its first value counts: %s", (query, expected) => {
  expect(fits({ query: { user: { exact: "jason" } } }, asked(`/${query}`))).toBe(expected);
});

test("in a query a plus is a space, and a parameter without a value is present and empty", () => {
  expect(fits({ query: { q: { exact: "a b" } } }, asked("/?q=a+b"))).toBe(true);
  expect(fits({ query: { q: { exact: "a b" } } }, asked("/?q=a%20b"))).toBe(true);
  expect(fits({ query: { q: { present: true } } }, asked("/?q"))).toBe(true);
  expect(fits({ query: { q: { exact: "" } } }, asked("/?q="))).toBe(true);
});

const productpage: RouteSource = {
  service: "productpage",
  namespace: "bookinfo",
  labels: { version: "v1", zone: "a" },
  principal: "cluster.local/ns/bookinfo/sa/productpage",
};

const fitsFor = (match: RouteMatch, source: RouteSource, random = () => 0): boolean =>
  compileRoutes(
    [{ kind: "Route", name: "r", namespace: "bookinfo", services: ["s"], rules: [{ match: [match] }] }],
    engine,
    { source, random },
  )(asked("/")) !== undefined;

test.each<[RouteMatch["source"] & object, boolean]>([
  [{ service: "productpage" }, true],
  [{ service: "productpage.default" }, false],
  [{ service: "productpage.bookinfo.svc.cluster.local" }, true],
  [{ namespace: "bookinfo" }, true],
  [{ namespace: "default" }, false],
  [{ labels: { version: "v1" } }, true],
  [{ labels: { version: "v1", zone: "b" } }, false],
  [{ identity: { exact: "cluster.local/ns/bookinfo/sa/productpage" } }, true],
  [{ identity: { prefix: "cluster.local/ns/default/" } }, false],
  [{ namespace: "bookinfo", labels: { version: "v2" } }, false],
  [{ namespace: "default", invert: true }, true],
])("source %j on productpage of bookinfo: %s", (source, expected) => {
  expect(fitsFor({ source }, productpage)).toBe(expected);
});

test("a caller without a certificate has no identity", () => {
  const nobody = { ...productpage, principal: undefined };
  expect(fitsFor({ source: { identity: { prefix: "" } } }, nobody)).toBe(false);
  expect(fitsFor({ source: { identity: { present: false } } }, nobody)).toBe(true);
});

test("a fraction is a share of the calls that fit otherwise", () => {
  const draws: number[] = [];
  const random = () => {
    draws.push(0.25);
    return 0.25;
  };
  const shares = [0, 25, 25.1, 100].map((fraction) => fitsFor({ fraction }, productpage, random));
  expect(shares).toEqual([false, false, true, true]);
  expect(fitsFor({ fraction: 50, path: { exact: "/other" } }, productpage, random)).toBe(false);
  // None for all and nothing, and none for a call that does not fit otherwise.
  expect(draws).toHaveLength(2);
});

test("a rule tells which of its alternatives a call met", () => {
  const match: RouteMatch[] = [{ path: { exact: "/a" } }, { path: { template: "/b/{id}" } }];
  const find = compileRoutes([{ kind: "Route", name: "r", services: ["s"], rules: [{ match }, {}] }], engine);
  expect([find(asked("/a"))?.match, find(asked("/b/1"))?.match, find(asked("/c"))?.match]).toEqual([
    ...match,
    undefined,
  ]);
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
