import type { Finding, FindingLevel } from "./finding.ts";
import { documentKey, type SourceDocument } from "./source-document.ts";
import type { Translation } from "./translate.ts";

/** How many documents of a kind came to what. */
export interface KindReport {
  readonly kind: string;
  readonly documents: number;
  /** Taken, also with warnings. */
  readonly taken: number;
  /** Taken, but for fields without meaning here. */
  readonly inPart: number;
  readonly refused: number;
  readonly ignored: number;
}

/** How much of a cluster's documents carries over. */
export interface TranslationReport {
  readonly kinds: readonly KindReport[];
  /** Of the documents that say something about policy, percent that are taken, in whole or in part. */
  readonly takenPercent: number;
  readonly policies: number;
  /** What refuses documents, the most frequent first. */
  readonly blockers: readonly Blocker[];
}

/** One reason why documents are refused. */
export interface Blocker {
  /** Says what is wrong, and what to do. */
  readonly message: string;
  readonly findings: readonly Finding[];
}

/** Sums a translation up. Pure. */
export const reportOf = (
  documents: readonly SourceDocument[],
  { findings, policies }: Translation,
): TranslationReport => {
  const worst = worstOf(findings);
  const kinds = new Map<string, SourceDocument[]>();
  for (const document of documents) kinds.set(document.kind, [...(kinds.get(document.kind) ?? []), document]);
  const reports = [...kinds].sort(([a], [b]) => (a < b ? -1 : 1)).map(([kind, all]) => kindReport(kind, all, worst));
  const told = reports.reduce((sum, each) => sum + each.documents - each.ignored, 0);
  const refused = reports.reduce((sum, each) => sum + each.refused, 0);
  return {
    kinds: reports,
    takenPercent: told === 0 ? 100 : (100 * (told - refused)) / told,
    policies: policies.length,
    blockers: blockersOf(findings),
  };
};

/** From what is least to what is most in the way. */
const severity: readonly FindingLevel[] = ["warning", "ignored", "no-meaning", "refused"];

const worstOf = (findings: readonly Finding[]): ReadonlyMap<string, FindingLevel> => {
  const worst = new Map<string, FindingLevel>();
  for (const { document, level } of findings) {
    const known = worst.get(document);
    if (known === undefined || severity.indexOf(level) > severity.indexOf(known)) worst.set(document, level);
  }
  return worst;
};

const kindReport = (
  kind: string,
  documents: readonly SourceDocument[],
  worst: ReadonlyMap<string, FindingLevel>,
): KindReport => {
  const count = (level: FindingLevel): number =>
    documents.filter((document) => worst.get(documentKey(document)) === level).length;
  const [refused, ignored, inPart] = [count("refused"), count("ignored"), count("no-meaning")];
  return {
    kind,
    documents: documents.length,
    taken: documents.length - refused - ignored - inPart,
    inPart,
    refused,
    ignored,
  };
};

const blockersOf = (findings: readonly Finding[]): readonly Blocker[] => {
  const byMessage = new Map<string, Finding[]>();
  for (const finding of findings) {
    if (finding.level !== "refused") continue;
    // The same reason with other names in it is one reason.
    const message = finding.message.replaceAll(/"[^"]*"/g, '"…"');
    byMessage.set(message, [...(byMessage.get(message) ?? []), finding]);
  }
  return [...byMessage.values()]
    .map((same) => ({ message: same[0]?.message ?? "", findings: same }))
    .sort((a, b) => b.findings.length - a.findings.length);
};
