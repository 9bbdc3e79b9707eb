import { expect, test } from "vitest";
import { checkPolicies } from "./check-policies.ts";
import type { HashKey } from "./hash-key.ts";

test.each<[string, HashKey[], string[]]>([
  [
    "one of each",
    [{ header: "x-user" }, { cookie: "user" }, { query: "user" }, { source: "instance", terminal: true }],
    [],
  ],
  ["none", [], ["rules[0].sticky: the list is empty: name something, or leave the field out"]],
  ["an empty one", [{}], ["rules[0].sticky[0]: set exactly one of header, cookie, query, source"]],
  [
    "two sources in one",
    [{ header: "x-user", cookie: "user" }],
    ["rules[0].sticky[0]: header and cookie are set: set exactly one"],
  ],
  [
    "names that are none",
    [{ header: "a b" }, { cookie: "a;b" }, { query: "" }],
    [
      'rules[0].sticky[0].header: "a b" is not the name of a header',
      'rules[0].sticky[1].cookie: "a;b" is not the name of a header',
      "rules[0].sticky[2].query: an empty name is no parameter",
    ],
  ],
])("hash keys: %s", (_, sticky, expected) => {
  const problems = checkPolicies([
    { kind: "Service", name: "reviews" },
    { kind: "Route", name: "reviews", services: ["reviews"], rules: [{ sticky }] },
  ]);
  expect(problems.map(({ path, message }) => `${path}: ${message}`)).toEqual(expected);
});

test.each<[string, object, readonly string[]]>([
  ["a cookie that the mesh gives", { cookie: "sid", ttl: "0s", path: "/shop" }, []],
  [
    "a ttl without a cookie",
    { header: "a", ttl: "1h" },
    ["only a cookie can be given to callers: write it with cookie"],
  ],
  [
    "a path of a cookie that nobody gives",
    { cookie: "sid", path: "/" },
    ["it is the path of a cookie that the mesh gives: write it with ttl"],
  ],
  [
    "a path that is none",
    { cookie: "sid", ttl: "1h", path: "a" },
    ['"a" is not the path of a cookie: begin it with "/"'],
  ],
])("%s as the hash key of a service", (_, key, messages) => {
  const problems = checkPolicies([{ kind: "Service", name: "a", hashKey: [key] }]);
  expect(problems.map(({ message }) => message)).toEqual(messages);
});
