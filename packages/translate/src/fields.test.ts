import { describe, expect, it } from "vitest";
import { Fields } from "./fields.ts";
import { Findings } from "./finding.ts";
import { ignored, message, noMeaning, refused, to } from "./message.ts";
import { readDocuments } from "./read-documents.ts";

const spec = message("Thing", {
  name: to("name"),
  wait: to("timeout"),
  weights: to("weight"),
  proxy: noMeaning("there is no proxy to tell"),
  tcp: refused("only HTTP is translated"),
  status: ignored("written by the cluster"),
  inner: to("inner"),
});
const inner = message("Inner", { on: to("on") });

const read = (yaml: string) => {
  const { documents } = readDocuments(
    `apiVersion: v1\nkind: Thing\nmetadata: { name: a }\nspec:\n${yaml}`,
    "a.yaml",
    "default",
  );
  const [document] = documents;
  const findings = new Findings();
  const fields = new Fields(document!.value.spec, spec, document!, ["spec"], findings);
  return { fields, findings, document: document! };
};

describe("the fields of a message", () => {
  it("are read by their types", () => {
    const { fields, findings } = read("  name: b\n  wait: 1.5s\n  weights: [1, '2']\n  inner: { on: true }");
    expect(fields.text("name")).toBe("b");
    expect(fields.duration("wait")).toBe("1.5s");
    expect(fields.integers("weights")).toEqual([1, 2]);
    expect(fields.message("inner", inner)?.flag("on")).toBe(true);
    expect(fields.text("tcp")).toBeUndefined();
    expect(findings.all).toEqual([]);
  });

  it.each([
    ["an unknown field", "  nam: b", "refused", "spec.nam", 'Thing has no field "nam"'],
    ["a refused field", "  tcp: []", "refused", "spec.tcp", "Thing.tcp: only HTTP is translated"],
    ["a field without meaning", "  proxy: 1", "no-meaning", "spec.proxy", "Thing.proxy: there is no proxy to tell"],
  ])("tell of %s with its place, unasked", (_, yaml, level, path, text) => {
    const { findings, document } = read(yaml);
    expect(findings.all).toEqual([
      { level, document: "Thing/default/a", path, message: text, origin: { file: "a.yaml", line: 5 }, column: 3 },
    ]);
    expect(findings.refuses(document)).toBe(level === "refused");
  });

  it("say nothing of what is ignored or null", () => {
    expect(read("  status: { a: 1 }\n  nam: null").findings.all).toEqual([]);
  });

  it("refuse a value of the wrong type, and read it as not set", () => {
    const { fields, findings } = read("  name: [b]\n  wait: soon\n  weights: 1\n  inner: 7");
    expect(fields.text("name")).toBeUndefined();
    expect(fields.duration("wait")).toBeUndefined();
    expect(fields.integers("weights")).toBeUndefined();
    expect(fields.message("inner", inner)?.flag("on")).toBeUndefined();
    expect(findings.all.map(({ path, message: text }) => `${path}: ${text}`)).toEqual([
      'spec.name: ["b"] is not a text',
      'spec.wait: "soon" is not a duration such as "1.5s"',
      "spec.weights: 1 is not a list",
      "spec.inner: 7 is no map",
    ]);
  });

  it("tell of unknown fields at any depth", () => {
    const { fields, findings } = read("  inner: { of: 1 }");
    fields.message("inner", inner);
    expect(findings.all[0]).toMatchObject({ path: "spec.inner.of", message: 'Inner has no field "of"' });
  });
});
