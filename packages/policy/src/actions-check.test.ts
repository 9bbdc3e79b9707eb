import { expect, test } from "vitest";
import { describeProblem } from "./policy-problem.ts";
import type { RouteRule } from "./route-policy.ts";
import { parsePolicies } from "./schema.ts";

const problemsOf = (rule: unknown): readonly string[] =>
  parsePolicies([{ kind: "Route", name: "r", services: ["a"], rules: [rule] }]).problems.map((problem) =>
    describeProblem(problem)
      .replace("Route/default/r rules[0]", "")
      .replace(/^[.:] ?/, ""),
  );

test.each<[string, RouteRule]>([
  ["a redirect to itself by another status", { redirect: { status: 303 } }],
  ["a redirect of a prefix", { match: [{ path: { prefix: "/a" } }], redirect: { prefix: "", host: "example.org" } }],
  ["a rewrite of a plain text", { match: [{ path: { startsWith: "/a" } }], rewrite: { prefix: "/b" } }],
  ["a redirect with a query", { redirect: { path: "/a?b=c%20d", port: "request" } }],
  ["a direct response", { directResponse: { status: 503, body: "closed", headers: { "retry-after": "5" } } }],
  ["a rewrite by pattern", { rewrite: { regex: { pattern: "^/v1/(.*)$", substitution: "/v2/\\1\\\\" } } }],
  ["a rewrite of the host", { rewrite: { host: "ratings:9080" } }],
  [
    "changes of a destination",
    { split: [{ subset: "v1", requestHeaders: { set: { a: "b" } }, rewrite: { host: "b" } }] },
  ],
  ["changes of a redirect's headers", { redirect: {}, responseHeaders: { add: { "set-cookie": "a=b" } } }],
  ["CORS for everybody", { cors: { allowOrigins: [{ exact: "*" }], maxAge: "0s" } }],
])("%s is right", (_, rule) => {
  expect(problemsOf(rule)).toEqual([]);
});

test.each<[string, unknown, readonly string[]]>([
  [
    "two answers",
    { redirect: {}, directResponse: { status: 200 } },
    ["redirect and directResponse are set: a call has one answer"],
  ],
  [
    "an answer, and where to send the call",
    { redirect: {}, rewrite: { path: "/b" }, split: [{ service: "b" }], requestHeaders: { set: { a: "b" } } },
    [
      'split: the rule answers by its redirect and sends nothing: leave "split" out',
      'rewrite: the rule answers by its redirect and sends nothing: leave "rewrite" out',
      'requestHeaders: the rule answers by its redirect and sends nothing: leave "requestHeaders" out',
    ],
  ],
  [
    "two replacements of the path",
    { redirect: { path: "/a", regex: { pattern: "a", substitution: "b" } } },
    ["redirect: path and regex are set: set at most one"],
  ],
  [
    "a prefix where the rule matches none",
    { match: [{ path: { prefix: "/a" } }, { path: { regex: "/b.*" } }], rewrite: { prefix: "/c" } },
    [
      "rewrite.prefix: a prefix is replaced only where the rule matches one: give every match a path by prefix, startsWith or exact, such as { prefix: / }, or use path or regex",
    ],
  ],
  [
    "a prefix where the rule matches all but one",
    { match: [{ path: { prefix: "/a", invert: true } }], redirect: { prefix: "/c" } },
    [
      "redirect.prefix: a prefix is replaced only where the rule matches one: give every match a path by prefix, startsWith or exact, such as { prefix: / }, or use path or regex",
    ],
  ],
  [
    "a status that is no redirect",
    { redirect: { status: 304 } },
    ['redirect.status: expected "301", "302", "303", "307", "308"; got 304'],
  ],
  ["paths", { rewrite: { path: "a?b" } }, ['rewrite.path: "a?b" is not a path: begin it with "/"']],
  [
    "a space",
    { redirect: { path: "/a b" } },
    ['redirect.path: "/a b" has characters that a path cannot have: write them percent-encoded'],
  ],
  [
    "substitutions",
    { rewrite: { regex: { pattern: "a".repeat(1_025), substitution: "\\x?" } } },
    [
      "rewrite.regex.pattern: it has 1025 characters, more than 1024",
      'rewrite.regex.substitution: "\\x?" is not part of a path: leave out the query',
    ],
  ],
  [
    "hosts",
    { rewrite: { host: "http://a", autoHost: true } },
    ['rewrite.host: "http://a" is not a host: write a name, with a port where one is meant, such as "ratings:9080"'],
  ],
  ["two hosts", { rewrite: { host: "a", autoHost: true } }, ["rewrite: host and autoHost are set: set at most one"]],
  [
    "nothing",
    { rewrite: {}, requestHeaders: {} },
    [
      "rewrite: nothing is rewritten: set path, prefix, regex, host or autoHost, or leave the field out",
      "requestHeaders: nothing is changed: name a header in remove, set or add, or leave the field out",
    ],
  ],
  [
    "a body too long",
    { directResponse: { status: 200, body: "ä".repeat(2_049) } },
    ["directResponse.body: the body has 4098 bytes, more than 4096"],
  ],
  [
    "a body where there is none",
    { directResponse: { status: 204, body: "a" } },
    ["directResponse.body: status 204 has no body: leave it out"],
  ],
  [
    "a status out of range",
    { directResponse: { status: 101 } },
    ["directResponse.status: 101 is not a whole number from 200 to 599"],
  ],
  [
    "headers of the mesh",
    { requestHeaders: { set: { Host: "b" } }, split: [{ responseHeaders: { remove: ["Upgrade"] } }] },
    [
      'requestHeaders.set.Host: "Host" cannot be changed as a header: use rewrite.host',
      'split[0].responseHeaders.remove[0]: "Upgrade" belongs to one connection and is set by its ends: leave it out',
    ],
  ],
  [
    "a line break in a value",
    { responseHeaders: { add: { a: "b\r\nc: d" } } },
    [
      "responseHeaders.add.a: the value has a character that a header cannot have, such as a line break or one beyond Latin-1",
    ],
  ],
  [
    "the same header twice",
    { responseHeaders: { set: { a: "1", A: "2" } } },
    ['responseHeaders.set: "A" is set twice: names are compared without case'],
  ],
  [
    "CORS for nobody",
    { cors: { allowOrigins: [], allowMethods: ["get"] } },
    [
      "cors.allowOrigins: the list is empty: name something, or leave the field out",
      'cors.allowMethods[0]: "get" is not a method: write it in upper case',
    ],
  ],
])("%s: refused with the remedy", (_, rule, expected) => {
  expect(problemsOf(rule).toSorted()).toEqual(expected.toSorted());
});
