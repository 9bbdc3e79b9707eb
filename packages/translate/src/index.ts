export type { Finding, FindingLevel } from "./finding.ts";
export { documentsIn, isSourceDocument, type ReadDocuments, readDocuments } from "./read-documents.ts";
export type { SourceDocument } from "./source-document.ts";
export { DEFAULT_ROOT_NAMESPACE, type TranslateOptions, type Translation, translate } from "./translate.ts";
