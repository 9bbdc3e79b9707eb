import { readFileSync } from "node:fs";
import { runInNewContext } from "node:vm";
import * as menu from "@tulle/policy";
import { MeshError, type MeshErrorCode, meshErrorCodes, notSupported } from "@tulle/policy";
import { readPolicyFiles } from "@tulle/policy/file";
import { policySchemas } from "@tulle/policy/schema";
import { describe, expect, test } from "vitest";
import { allFieldPaths } from "../src/schema/fields-of.ts";

const page = (path: string): string => readFileSync(new URL(`../../../docs/${path}`, import.meta.url), "utf8");

/** Runs an example against the package, and gives what it exports as `policies`. */
const run = (example: string): readonly menu.Policy[] => {
  const script = example
    .replace(/^import \{(.*)\} from "@tulle\/policy";$/m, "const {$1} = policy;")
    .replaceAll(/^export const policies = /gm, "result.policies = ")
    .replaceAll(/^export /gm, "");
  const result: { policies?: readonly menu.Policy[] } = {};
  runInNewContext(script, { policy: menu, result });
  return result.policies ?? [];
};

/** What stands under each heading of a level. */
const sections = (text: string, level: string): ReadonlyMap<string, string> =>
  new Map(
    text
      .split(new RegExp(`^${level} `, "m"))
      .slice(1)
      .map((section) => [section.slice(0, section.indexOf("\n")), section.slice(section.indexOf("\n") + 1).trim()]),
  );

describe("docs/errors.md", () => {
  const entries = sections(page("errors.md"), "##");
  const codes = Object.keys(meshErrorCodes) as MeshErrorCode[];

  test("has every code, in the code's order, and no other", () => {
    expect([...entries.keys()]).toEqual(codes.map((code) => code.toLowerCase().replaceAll("_", "-")));
  });

  test.each(codes)("%s: flag, status and side are the code's; meaning, cause and remedy are told", (code) => {
    const { docs, flag, status } = new MeshError(code, { message: "" });
    const [file, heading = ""] = docs.split("#");
    expect(file).toBe("docs/errors.md");
    const entry = entries.get(heading) ?? "";
    const [facts, ...told] = entry.split("\n\n");
    const { side } = meshErrorCodes[code];
    const owner = /^(?:[A-Z]{2,3}|UMSDR)$/.test(flag) ? "Envoy's" : "ours";
    expect(facts).toBe(`\`${code}\` · flag \`${flag}\` (${owner}) · status ${status} · ${side}`);
    expect(told.map((line) => /^\*\*(\w+)\.\*\* .{20,}/.exec(line)?.[1])).toEqual(["Meaning", "Cause", "Remedy"]);
  });
});

const kinds = Object.keys(policySchemas) as (keyof typeof policySchemas)[];

describe.each(kinds)("docs/policies: %s", (kind) => {
  const text = page(`policies/${kind.replaceAll(/(?<=[a-z])(?=[A-Z])/g, "-").toLowerCase()}.md`);
  const parts = sections(text, "##");
  const rows = [...(parts.get("Fields") ?? "").matchAll(/^\| `([^`]+)` +\|(.*)\|$/gm)].map(
    ([, field = "", rest = ""]) => ({
      field,
      cells: rest.split("|").map((cell) => cell.trim()),
    }),
  );

  test("has the headings that all pages have", () => {
    expect(text.startsWith(`# ${kind}\n`)).toBe(true);
    expect([...parts.keys()]).toEqual(["What it is", "Example", "Fields", "Errors", "Known elsewhere as"]);
  });

  /** Fields whose inside another page tells. */
  const elsewhere = rows.filter(({ cells }) => cells[0]?.includes("with all its fields")).map(({ field }) => field);
  const isToldHere = (path: string): boolean =>
    !elsewhere.some((field) => path.startsWith(`${field}.`) || path.startsWith(`${field}[]`));

  test("names every field of the schema once, and no other", () => {
    const fields = allFieldPaths(policySchemas[kind]).filter(isToldHere);
    expect(rows.map(({ field }) => field).toSorted()).toEqual(fields.toSorted());
    expect(rows.filter(({ cells }) => cells.length !== 4 || cells[0] === "")).toEqual([]);
  });

  test("says of what is not supported yet that it is not", () => {
    const said = rows.filter(({ cells }) => cells[3]?.includes("not yet")).map(({ field }) => field);
    const meant = new Set(notSupported[kind].map((line) => line.split("=")[0] ?? "").filter(isToldHere));
    expect(said.toSorted()).toEqual([...meant].toSorted());
  });

  test("its errors are codes, linked to their entries", () => {
    const links = [...(parts.get("Errors") ?? "").matchAll(/\[`(\w+)`\]\(\.\.\/errors\.md#([\w-]+)\)/g)];
    expect(links.length).toBeGreaterThan(0);
    for (const [, code = "", anchor] of links) {
      expect(Object.keys(meshErrorCodes)).toContain(code);
      expect(anchor).toBe(code.toLowerCase().replaceAll("_", "-"));
    }
  });

  const example = (language: string): string =>
    new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, "s").exec(parts.get("Example") ?? "")?.[1] ?? "";
  const fromYaml = readPolicyFiles([{ name: "example.yaml", text: example("yaml") }]);

  test("its YAML is right", () => {
    expect(fromYaml.problems).toEqual([]);
    expect(fromYaml.policies.at(-1)?.kind).toBe(kind);
  });

  test("its TypeScript makes the same policy", () => {
    const { origin, ...written } = fromYaml.policies.at(-1) ?? {};
    expect(origin).toBeDefined();
    // The builders say what is a default too.
    expect(run(example("ts")).at(-1)).toMatchObject(JSON.parse(JSON.stringify(written)));
  });
});

test("the example of the package's README runs as pasted", () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  const [, script = ""] = /```ts\n(.*?)```/s.exec(readme) ?? [];
  expect(run(script).map(({ kind, name }) => `${kind}/${name}`)).toEqual([
    "Service/productpage",
    "Service/reviews",
    "Route/reviews",
    "Access/reviews-allow",
  ]);
});
