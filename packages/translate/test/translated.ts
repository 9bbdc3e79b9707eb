import type { Policy } from "@tulle/policy";
import { parsePolicies } from "@tulle/policy/schema";
import { expect } from "vitest";
import { readDocuments } from "../src/read-documents.ts";
import { type TranslateOptions, translate } from "../src/translate.ts";

/** What documents became, for people to read: policies without their places, findings as texts. */
export interface Translated {
  readonly policies: readonly Policy[];
  readonly findings: readonly string[];
}

/** Translates documents of YAML. Whatever comes out must be policies without a problem, whether or not all they name is there. */
export const translated = (yaml: string, options: TranslateOptions = {}): Translated => {
  const { documents, problems } = readDocuments(yaml, "test.yaml", "default");
  expect(problems).toEqual([]);
  const { policies, findings } = translate(documents, options);
  const wrong = parsePolicies(policies).problems.filter(({ message }) => !message.startsWith("there is no service"));
  expect(wrong).toEqual([]);
  return {
    policies: policies.map(({ origin: _, ...policy }) => policy),
    findings: findings
      .filter(({ level }) => level !== "ignored")
      .map(({ level, document, path, message }) => `${level} ${document} ${path}: ${message}`),
  };
};

/** The only policy of a name. */
export const policyNamed = (policies: readonly Policy[], kind: Policy["kind"], name: string): Policy | undefined =>
  policies.find((policy) => policy.kind === kind && policy.name === name);
