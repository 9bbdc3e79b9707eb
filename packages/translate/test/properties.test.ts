import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { checkPolicies, type Policy, policyKey } from "@tulle/policy";
import { parsePolicies } from "@tulle/policy/schema";
import { readYamlValues } from "@tulle/policy/yaml-values";
import fc from "fast-check";
import { expect, test } from "vitest";
import { corpus } from "../../policy/test/corpus.ts";
import { documentsIn } from "../src/read-documents.ts";
import { documentKey, type SourceDocument } from "../src/source-document.ts";
import { translate } from "../src/translate.ts";
import { anyDocument, changedDocument } from "./support/changed-documents.ts";

// What holds whatever the documents say. They begin as documents that people wrote: our own, and those of the corpora where they
// are at hand.

const CHANGED_RUNS = 6_000;
const ANY_RUNS = 14_000;
const FEWER = 1_000;
/** For a machine that does much else. */
const LIMIT_MS = 60_000;

const inFolder = (folder: string): readonly unknown[] =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".yaml"))
    .flatMap((name) => readYamlValues(readFileSync(join(folder, name), "utf8"), name).values.map(({ value }) => value));

interface Validation {
  readonly cases: readonly { readonly doc: object }[];
}

const validation = corpus<Validation>("istio/validation.json");
const folders = ["istio/samples", "gateway-api/tests"].flatMap((name) => {
  const folder = corpus(name);
  return folder.missing ? [] : [folder.beside(basename(name))];
});
const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;
const own = inFolder(join(import.meta.dirname, "support")).filter(isObject);
const seeds: readonly object[] = [
  ...own,
  ...(validation.read()?.cases ?? []).map(({ doc }) => doc),
  ...folders.flatMap((folder) => inFolder(folder).filter(isObject)),
];

/** What a file of these values holds; each stands on a line of its own. */
const readAll = (values: readonly unknown[]): readonly SourceDocument[] =>
  values.flatMap((value, index) => {
    const place = { origin: { file: "documents.yaml", line: index + 1 }, column: 1 };
    return documentsIn({ value, place, placeOf: () => place }, "default").documents;
  });

/** Our documents belong together, so that changed ones stand beside those that they refer to. */
const together: fc.Arbitrary<readonly unknown[]> = fc
  .tuple(fc.array(changedDocument(seeds, 4), { minLength: 1, maxLength: 3 }), fc.subarray(own, { maxLength: 4 }))
  .map(([changed, untouched]) => [...changed, ...untouched]);

const holds = (values: readonly unknown[], strict: boolean): void => {
  const { policies, translated, findings } = translate(readAll(values), { strict });
  expect(parsePolicies(policies).problems).toEqual([]);
  const keys = policies.map((policy) => (policy.kind === "Mesh" ? "Mesh" : policyKey(policy)));
  expect(keys).toEqual([...new Set(keys)]);
  const refused = new Set(findings.filter(({ level }) => level === "refused").map(({ origin }) => origin.line));
  const left = translated.filter(({ from }) => from.some(({ place }) => refused.has(place.origin.line)));
  expect(left.map(({ policy }) => policyKey(policy))).toEqual([]);
};

test(
  "documents whose parts are gone, doubled, moved or of another type: nothing throws, what comes out is right, and nothing is left of a refused document",
  () => {
    fc.assert(fc.property(together, fc.boolean(), holds), { numRuns: CHANGED_RUNS });
  },
  LIMIT_MS,
);

test(
  "anything under the names of fields: nothing throws, what comes out is right, and nothing is left of a refused document",
  () => {
    fc.assert(fc.property(fc.array(anyDocument, { minLength: 1, maxLength: 2 }), fc.boolean(), holds), {
      numRuns: ANY_RUNS,
    });
  },
  LIMIT_MS,
);

test(
  "the same documents give the same policies and findings",
  () => {
    fc.assert(
      fc.property(together, (values) => {
        const once = translate(readAll(values));
        const again = translate(readAll(structuredClone(values)));
        expect(again.policies).toEqual(once.policies);
        expect(again.findings).toEqual(once.findings);
        expect(again.statuses).toEqual(once.statuses);
      }),
      { numRuns: FEWER },
    );
  },
  LIMIT_MS,
);

const byKey = (policies: readonly Policy[]): readonly Policy[] =>
  [...policies].sort((a, b) => (policyKey(a) < policyKey(b) ? -1 : 1));

test(
  "the order of documents does not matter, but for those of one name",
  () => {
    fc.assert(
      fc.property(
        together.chain((values) => {
          const documents = new Map(
            readAll(values).map((each) => [`${each.apiVersion.split("/")[0]} ${documentKey(each)}`, each]),
          );
          const all = [...documents.values()];
          return fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }));
        }),
        ([documents, shuffled]) => {
          expect(byKey(translate(shuffled).policies)).toEqual(byKey(translate(documents).policies));
        },
      ),
      { numRuns: FEWER },
    );
  },
  LIMIT_MS,
);

/** What others refer to. */
const referredTo = new Set(["Service", "Deployment", "DestinationRule", "ServiceEntry", "ConfigMap"]);
const isReferredTo = (document: object): boolean => "kind" in document && referredTo.has(String(document.kind));

test(
  "what comes out of our documents holds together, whichever stand beside those that they refer to",
  () => {
    const always = own.filter(isReferredTo);
    fc.assert(
      fc.property(fc.subarray(own.filter((document) => !isReferredTo(document))), (values) => {
        const { policies, findings } = translate(readAll([...always, ...values]));
        expect(findings.filter(({ level }) => level === "refused")).toEqual([]);
        expect(checkPolicies(policies)).toEqual([]);
      }),
      { numRuns: FEWER / 4 },
    );
  },
  LIMIT_MS,
);
