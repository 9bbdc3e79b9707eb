import { describe, expect, it } from "vitest";
import { readDocuments } from "./read-documents.ts";

const read = (text: string) => readDocuments(text, "a.yaml", "shop");

describe("documents of Kubernetes' form", () => {
  it("are read with their names and places", () => {
    const { documents, problems } = read(
      "apiVersion: v1\nkind: Service\nmetadata: { name: a, labels: { x: '1', y: 2 } }\n---\napiVersion: v1\nkind: Service\nmetadata: { name: b, namespace: n }\nspec:\n  ports: []",
    );
    expect(problems).toEqual([]);
    expect(documents.map(({ name, namespace, labels }) => ({ name, namespace, labels }))).toEqual([
      { name: "a", namespace: "shop", labels: { x: "1" } },
      { name: "b", namespace: "n", labels: {} },
    ]);
    expect(documents[1]?.placeOf(["spec", "ports"])).toEqual({ origin: { file: "a.yaml", line: 9 }, column: 3 });
  });

  it("are taken out of lists, with their places", () => {
    const { documents } = read(
      "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: A\n  metadata: { name: a }\n- apiVersion: v1\n  kind: B\n  metadata: { name: b }\n  spec: 1",
    );
    expect(documents.map(({ kind }) => kind)).toEqual(["A", "B"]);
    expect(documents[1]?.placeOf(["spec"])).toMatchObject({ origin: { line: 10 } });
    expect(documents[1]?.placeOf([])).toMatchObject({ origin: { line: 7 } });
  });

  it.each([
    ["7", "this is no document: it has no fields"],
    ["kind: Service", "this is no document of Kubernetes' form: it has no apiVersion or no kind"],
    ["apiVersion: v1\nkind: Service", "this Service has no metadata.name"],
    ["apiVersion: v1\nkind: List\nitems: [7]", "this is no document: it has no fields"],
    ["a: [", "not YAML"],
  ])("are told from what is none: %j", (text, message) => {
    const { documents, problems } = read(text);
    expect(documents).toEqual([]);
    expect(problems[0]?.message).toContain(message);
    expect(problems[0]?.origin?.file).toBe("a.yaml");
  });
});
