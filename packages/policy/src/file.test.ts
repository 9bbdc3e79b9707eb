import fc from "fast-check";
import { expect, test } from "vitest";
import { formatProblem, readPolicyFile, readPolicyFiles } from "./file.ts";
import { describeProblem } from "./policy-problem.ts";

const problemsIn = (text: string): readonly string[] => readPolicyFile(text, "p.yaml").problems.map(describeProblem);

test("several documents, lists in a document, anchors and merge keys, and empty documents between them", () => {
  const text = [
    "# first",
    "kind: Service",
    "name: reviews",
    "connectionPool: &pool { maxConnectionsPerEndpoint: 8 }",
    "---",
    "---",
    "# only a comment",
    "---",
    "- { kind: Service, name: details, connectionPool: { maxConnectionsPerEndpoint: 8 } }",
    "- kind: Mesh",
    "  name: mesh",
    "  defaults:",
    "    retry: &retry { retries: 1 }",
    "...",
    "---",
    "kind: Route",
    "name: r",
    "services: [reviews]",
    "rules:",
    "  - &rule { timeout: 1s }",
    "  - { <<: *rule, retry: false }",
    "  - *rule",
  ].join("\n");
  const { policies, problems } = readPolicyFile(text, "p.yaml");
  expect(problems).toEqual([]);
  expect(policies.map(({ name, origin }) => [name, origin?.line])).toEqual([
    ["reviews", 2],
    ["details", 9],
    ["mesh", 10],
    ["r", 16],
  ]);
  expect(policies.at(-1)).toMatchObject({
    rules: [{ timeout: "1s" }, { timeout: "1s", retry: false }, { timeout: "1s" }],
    origin: { file: "p.yaml", line: 16 },
  });
});

test("JSON, one policy or a list", () => {
  const one = { kind: "Service", name: "a" };
  expect(readPolicyFile(JSON.stringify(one), "p.json").policies).toEqual([
    { ...one, origin: { file: "p.json", line: 1 } },
  ]);
  const text = JSON.stringify([one, { kind: "Service", name: "b", prt: 1 }], undefined, "\t");
  const { policies, problems } = readPolicyFile(text, "p.json");
  expect(policies).toHaveLength(1);
  expect(problems.map(describeProblem)).toEqual(['p.json:9:3 prt: unknown field "prt"; did you mean "port"?']);
});

test.each<[string, string, readonly string[]]>([
  ["nothing", "", ["p.yaml:1:1: the file holds no policy"]],
  ["a comment", "# nothing\n---\n", ["p.yaml:1:1: the file holds no policy"]],
  ["a text", "hello", ["p.yaml:1:1: a policy is an object"]],
  ["a list of texts", "- a\n- b", ["p.yaml:1:3: a policy is an object", "p.yaml:2:3: a policy is an object"]],
  ["a tab", "kind: Service\nhosts:\n\t- a\n", ["p.yaml:3:1: not YAML: Tabs are not allowed as indentation"]],
  [
    "an open bracket",
    "kind: [",
    ["p.yaml:1:8: not YAML: Flow sequence in block collection must be sufficiently indented and end with a ]"],
  ],
  ["a key twice", "kind: Service\nname: a\nname: b\n", ["p.yaml:3:1: not YAML: Map keys must be unique"]],
  [
    "an unknown alias",
    "kind: Service\nname: *nobody\n",
    ["p.yaml:1:1: not YAML: Unresolved alias (the anchor must be set before the alias): nobody"],
  ],
  ["an unknown tag", "kind: !secret Service\n", ["p.yaml:1:7: not YAML: Unresolved tag: !secret"]],
  [
    "braces of a template",
    "kind: Service\nname: a\nport: {{ .Port }}\n",
    ["p.yaml:3:1 port: expected a number, got an object"],
  ],
  ["broken JSON", '{"kind": "Service", "name": }', ["p.yaml:1:21 name: expected a text, got nothing"]],
  ["a field without a value", "kind: Service\nname: a\nport:\n", ["p.yaml:3:1 port: expected a number, got nothing"]],
  [
    "problems of several documents, broken ones and others, all at once",
    "kind: Service\nname: A\n---\nkind: [\n---\nkind: Route\nname: r\nservices: [a]\nrules:\n  - split:\n      - { subset: v1, wight: 3 }\n    timout: 3s\nmode: dry-run\n",
    [
      "p.yaml:5:1: not YAML: Flow sequence in block collection must be sufficiently indented and end with a ]",
      'p.yaml:2:1 name: "A" is not a name: write a-z, 0-9 and "-", at most 63 characters, no "-" at either end',
      'p.yaml:11:23 rules[0].split[0].wight: unknown field "wight"; did you mean "weight"?',
      'p.yaml:12:5 rules[0].timout: unknown field "timout"; did you mean "timeout"?',
      'p.yaml:13:1 mode: mode "dry-run" is not supported yet',
    ],
  ],
  [
    "a field inside an alias is shown where it is written",
    "kind: Route\nname: r\nservices: [a]\nrules:\n  - retry: &r { retries: 99 }\n  - retry: *r\n",
    [
      "p.yaml:5:17 rules[0].retry.retries: 99 is not a whole number from 0 to 10",
      "p.yaml:5:17 rules[1].retry.retries: 99 is not a whole number from 0 to 10",
    ],
  ],
  [
    "aliases that explode",
    `a: &a [x, x, x, x, x, x, x, x, x, x]\n${["b", "c", "d", "e"].map((name, at) => `${name}: &${name} [${Array(10).fill(`*${"abcd"[at]}`).join(", ")}]`).join("\n")}\n`,
    ["p.yaml:1:1: not YAML: Excessive alias count indicates a resource exhaustion attack"],
  ],
])("%s", (_, text, expected) => {
  expect(problemsIn(text)).toEqual(expected);
});

const service = { name: "services.yaml", text: "kind: Service\nname: reviews\nsubsets:\n  v1: { version: v1 }\n" };
const route = {
  name: "routes.yaml",
  text: "kind: Route\nname: r\nservices: [reviews]\nrules:\n  - split:\n      - { subset: v3, weight: 1 }\n",
};

test("files are checked together, and problems are located in their file", () => {
  const { problems } = readPolicyFiles([service, route, { ...service, name: "again.yaml" }]);
  expect(problems.map(describeProblem)).toEqual([
    'again.yaml:2:1 name: Service "reviews" in namespace "default" is defined twice, first at services.yaml:1',
    'routes.yaml:6:11 rules[0].split[0].subset: service default/reviews has no subset "v3"; it has v1; did you mean "v1"?',
  ]);
});

test("a service that cannot be read is not reported as missing", () => {
  const broken = { name: "services.yaml", text: "kind: Service\nname: reviews\nprt: 1\n" };
  expect(readPolicyFiles([broken, route]).problems.map(describeProblem)).toEqual([
    'services.yaml:3:1 prt: unknown field "prt"; did you mean "port"?',
  ]);
});

test("a problem is shown with its line, a caret and what was perhaps meant", () => {
  const text = "kind: Service\nname: a\n\tprt: 1";
  const problem = {
    path: "prt",
    message: "unknown field",
    origin: { file: "p.yaml", line: 3 },
    column: 2,
    suggestion: '"port"',
  };
  expect(formatProblem(problem, text)).toBe(
    'p.yaml:3:2 prt: unknown field\n  3 | \tprt: 1\n    | \t^\n    = did you mean "port"?',
  );
  expect(formatProblem(problem)).toBe('p.yaml:3:2 prt: unknown field; did you mean "port"?');
  expect(formatProblem({ path: "a", message: "b" }, text)).toBe("a: b");
});

test("whatever the file holds, it is read or its problems are told, with a place in the file", () => {
  const piece = fc.constantFrom(
    ...[
      "kind: ",
      "Service",
      "Route",
      "name: a",
      "\n",
      "  ",
      "- ",
      "---\n",
      "...\n",
      "{",
      "}",
      "[",
      "]",
      ": ",
      "&a ",
      "*a",
      "<<: *a",
    ],
    ...[
      "!!binary x",
      "? ",
      "| ",
      "> ",
      "'",
      '"',
      "\t",
      "#",
      "%YAML 1.1\n",
      "rules:",
      "services:",
      "\u0000",
      "0x1F",
      ".nan",
      "~",
      "\r",
    ],
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join("")),
        fc.string(),
      ),
      (text) => {
        const { policies, problems } = readPolicyFile(text, "p.yaml");
        expect(policies.length + problems.length).toBeGreaterThan(0);
        for (const problem of problems) {
          expect(problem.origin?.line).toBeGreaterThan(0);
          expect(problem.column).toBeGreaterThan(0);
          expect(formatProblem(problem, text)).toContain("p.yaml:");
        }
      },
    ),
    { numRuns: 500 },
  );
});
