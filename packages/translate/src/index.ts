export type { Finding, FindingLevel } from "./finding.ts";
export { printTypeScript, printYaml } from "./print-policies.ts";
export { documentsIn, isSourceDocument, type ReadDocuments, readDocuments } from "./read-documents.ts";
export { type Blocker, type KindReport, reportOf, type TranslationReport } from "./report.ts";
export type { SourceDocument } from "./source-document.ts";
export {
  DEFAULT_ROOT_NAMESPACE,
  sourceKinds,
  type TranslateOptions,
  type Translation,
  translate,
} from "./translate.ts";
export type { TranslatedPolicy } from "./translator.ts";
