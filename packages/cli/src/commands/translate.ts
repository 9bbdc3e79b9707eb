import {
  type FindingLevel,
  printTypeScript,
  printYaml,
  reportOf,
  type Translation,
  type TranslationReport,
} from "@tulle/translate";
import type { Command } from "commander";
import { newCommand, printJson } from "../command-context.ts";
import { usageFailure } from "../exit-code.ts";
import { readFiles } from "../policy-sources.ts";
import {
  type DocumentOptions,
  describeFinding,
  documentsFailure,
  type ReadFile,
  readDocumentFile,
  translateFiles,
} from "../source-documents.ts";
import { printTable } from "../table.ts";
import type { Terminal } from "../terminal.ts";

interface TranslateOptions extends DocumentOptions {
  readonly json?: boolean;
  readonly output: string;
  readonly report?: boolean;
}

export const translateCommand = (terminal: Terminal): Command =>
  newCommand("translate", "print what documents of Istio, Kubernetes and the Gateway API mean as policies")
    .argument("<paths...>", "YAML or JSON files, folders of them, or - for the standard input")
    .option("-o, --output <format>", "yaml or ts", "yaml")
    .option("--report", "print how much carries over, and what stands in the way, instead of policies")
    .option("--strict", "refuse documents that say something without meaning here")
    .option("-n, --namespace <name>", "of documents that name none", "default")
    .option("--root-namespace <name>", "Istio's root namespace", "istio-system")
    .action((paths: string[], options: TranslateOptions) => run(terminal, paths, options));

const run = async (terminal: Terminal, paths: readonly string[], options: TranslateOptions): Promise<void> => {
  if (options.output !== "yaml" && options.output !== "ts") {
    throw usageFailure(`--output "${options.output}" is none: write yaml or ts`);
  }
  const files = (await readFiles(terminal, paths)).map(({ name, text }) => readDocumentFile(name, text, options));
  const unreadable = files.flatMap(({ problems, text }) => problems.map((problem) => ({ problem, text })));
  const translation = translateFiles(files, options);
  if (options.report) {
    const report = reportOf(
      files.flatMap(({ documents }) => documents),
      translation,
    );
    if (options.json) printJson(terminal, { ...report, unreadable: unreadable.map(({ problem }) => problem) });
    else printReport(terminal, report, unreadable.length);
    return;
  }
  const refused = translation.findings.filter(({ level }) => level === "refused");
  if (options.json) {
    const { policies, findings, statuses } = translation;
    printJson(terminal, { policies, findings, statuses });
  } else {
    terminal.write((options.output === "ts" ? printTypeScript : printYaml)(translation.translated));
    tellFindings(terminal, translation, files);
  }
  if (refused.length + unreadable.length > 0) throw documentsFailure({ refused, unreadable, files });
};

const wordOf: Readonly<Record<Exclude<FindingLevel, "refused">, string>> = {
  "no-meaning": "no meaning here",
  warning: "warning",
  ignored: "ignored",
};

/** Tells what was left out and what may be meant otherwise; what refuses documents is told by the failure. */
export const tellFindings = (terminal: Terminal, { findings }: Translation, files: readonly ReadFile[]): void => {
  for (const finding of findings) {
    if (finding.level === "refused") continue;
    terminal.writeError(`${wordOf[finding.level]}: ${describeFinding(finding, files)}\n`);
  }
};

const MOST_PLACES = 3;

const printReport = (
  terminal: Terminal,
  { kinds, takenPercent, policies, blockers }: TranslationReport,
  unreadable: number,
): void => {
  printTable(terminal, {
    headings: ["KIND", "DOCUMENTS", "TAKEN", "IN PART", "REFUSED", "IGNORED"],
    rows: kinds.map(({ kind, documents, taken, inPart, refused, ignored }) =>
      [kind, documents, taken, inPart, refused, ignored].map(String),
    ),
    empty: "no documents",
  });
  const unread = unreadable === 0 ? "" : `; ${unreadable} could not be read`;
  terminal.write(
    `${takenPercent.toFixed(1)} % of the documents about policy carry over, as ${policies} policies${unread}\n`,
  );
  for (const { message, findings } of blockers) {
    terminal.write(`\n${findings.length} × ${message}\n`);
    for (const finding of findings.slice(0, MOST_PLACES)) {
      terminal.write(`  ${finding.origin.file}:${finding.origin.line} ${finding.document} ${finding.path}\n`);
    }
    if (findings.length > MOST_PLACES) terminal.write(`  and ${findings.length - MOST_PLACES} more\n`);
  }
};
