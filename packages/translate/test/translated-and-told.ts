import type { Policy } from "@tulle/policy";
import { readDocuments } from "../src/read-documents.ts";
import { type TranslateOptions, translate } from "../src/translate.ts";

/** What YAML became, and what was told of it by its place. */
export interface TranslatedAndTold {
  /** Without their origins. */
  readonly policies: readonly Policy[];
  /** `level path: message`, in order. */
  readonly told: readonly string[];
  /** The ways of what was refused. */
  readonly refused: readonly string[];
}

/** Translates documents of a namespace `default`. */
export const translatedAndTold = (yaml: string, options: TranslateOptions = {}): TranslatedAndTold => {
  const { documents, problems } = readDocuments(yaml, "a.yaml", "default");
  if (problems.length > 0) throw new Error(problems.map(({ message }) => message).join("; "));
  const { policies, findings } = translate(documents, options);
  return {
    policies: policies.map(({ origin: _, ...policy }) => policy as Policy),
    told: findings.map(({ level, path, message }) => `${level} ${path}: ${message}`),
    refused: findings.filter(({ level }) => level === "refused").map(({ path }) => path),
  };
};
