import { parsePolicies } from "@tulle/policy/schema";
import { describe, expect, test } from "vitest";
import { corpus } from "../../policy/test/corpus.ts";
import { readDocuments } from "../src/read-documents.ts";
import { sourceKinds, translate } from "../src/translate.ts";

// Istio's own table of documents, and whether it accepts them.

interface Validation {
  readonly cases: readonly {
    readonly id: string;
    readonly name: string;
    readonly valid: boolean;
    readonly doc: { readonly kind: string };
  }[];
}

const document = corpus<Validation>("istio/validation.json");
const read = new Set(sourceKinds.map(({ kind }) => kind));
const cases = (document.read()?.cases ?? []).filter(({ doc }) => read.has(doc.kind));

test.skipIf(document.missing)(`the table holds documents of the kinds that are read${document.note}`, () => {
  expect(cases.length).toBeGreaterThan(0);
});

describe.each([true, false])("a document that Istio accepts: %s", (valid) => {
  test.each(cases.filter((each) => each.valid === valid))("$doc.kind $id $name", ({ doc }) => {
    const { documents, problems } = readDocuments(JSON.stringify(doc), "case.json", "default");
    expect(problems).toEqual([]);
    const { policies, findings } = translate(documents);
    const refusals = findings
      .filter(({ level }) => level === "refused")
      .map(({ path, message }) => `${path}: ${message}`);
    if (valid) expect(refusals).toEqual([]);
    else expect(refusals).not.toEqual([]);
    expect(parsePolicies(policies).problems).toEqual([]);
  });
});
