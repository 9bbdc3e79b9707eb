import { type Policy, type PolicyProblem, type ServiceKey, serviceKey } from "@tulle/policy";
import { formatProblem } from "@tulle/policy/file";
import { readYamlValues } from "@tulle/policy/yaml-values";
import {
  documentsIn,
  type Finding,
  isSourceDocument,
  type SourceDocument,
  type Translation,
  translate,
} from "@tulle/translate";
import { CommandFailure, exitCodes } from "./exit-code.ts";

/** How documents of other origins are read. */
export interface DocumentOptions {
  /** Of documents that name none. @default "default" */
  readonly namespace?: string;
  /** Istio's. @default "istio-system" */
  readonly rootNamespace?: string;
  /** What has no meaning without a proxy refuses its document. */
  readonly strict?: boolean;
}

/** A file whose documents are of another origin. */
export interface ReadFile {
  readonly name: string;
  readonly text: string;
  readonly documents: readonly SourceDocument[];
  readonly problems: readonly PolicyProblem[];
}

/** Whether a file holds documents of another origin; policies and such documents do not stand in one file. */
export const holdsDocuments = (name: string, text: string): boolean =>
  readYamlValues(text, name).values.some(({ value }) => isSourceDocument(value));

/** Reads a file's documents. */
export const readDocumentFile = (name: string, text: string, { namespace = "default" }: DocumentOptions): ReadFile => {
  const { values, problems } = readYamlValues(text, name);
  const read = values.map((value) => documentsIn(value, namespace));
  return {
    name,
    text,
    documents: read.flatMap(({ documents }) => documents),
    problems: [...problems, ...read.flatMap((each) => each.problems)],
  };
};

/** Translates the documents of all files together. @param known the policies that the config-server has, where it was asked */
export const translateFiles = (
  files: readonly ReadFile[],
  options: DocumentOptions,
  known?: readonly Policy[],
): Translation =>
  translate(
    files.flatMap(({ documents }) => documents),
    {
      ...(options.rootNamespace === undefined ? {} : { rootNamespace: options.rootNamespace }),
      ...(options.strict === undefined ? {} : { strict: options.strict }),
      ...(known === undefined ? {} : { services: servicesAmong(known), existing: known }),
    },
  );

const servicesAmong = (policies: readonly Policy[]): ReadonlySet<ServiceKey> =>
  new Set(
    policies.flatMap((policy) =>
      policy.kind === "Service" ? [serviceKey(policy.namespace ?? "default", policy.name)] : [],
    ),
  );

/** A finding as people read it: `file:line:column Kind/namespace/name path: message`, and the line itself. */
export const describeFinding = (finding: Finding, files: readonly ReadFile[]): string => {
  const text = files.find(({ name }) => name === finding.origin.file)?.text;
  const { document, path, message, origin, column } = finding;
  return formatProblem({ path: path === "" ? document : `${document} ${path}`, message, origin, column }, text);
};

/** What a command fails with whose documents cannot be taken: each with its place and its line, and how many they are. */
export const documentsFailure = ({
  refused,
  unreadable,
  files,
  outcome = "",
}: {
  readonly refused: readonly Finding[];
  /** What is no document, with the text of its file. */
  readonly unreadable?: readonly { readonly problem: PolicyProblem; readonly text: string }[];
  readonly files: readonly ReadFile[];
  /** What became of the rest, as the end of the sentence. */
  readonly outcome?: string;
}): CommandFailure => {
  const lines = [
    ...(unreadable ?? []).map(({ problem, text }) => formatProblem(problem, text)),
    ...refused.map((finding) => describeFinding(finding, files)),
  ];
  const documents = new Set(refused.map(({ document }) => document)).size + (unreadable?.length ?? 0);
  const summary = `${documents === 1 ? "1 document is" : `${documents} documents are`} refused${outcome}`;
  return new CommandFailure(exitCodes.refused, [...lines, summary].join("\n"), {
    error: "invalid-documents",
    findings: refused,
    ...(unreadable && { problems: unreadable.map(({ problem }) => problem) }),
  });
};
