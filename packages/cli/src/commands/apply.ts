import { type Policy, tryParseDuration } from "@tulle/policy";
import type { Acknowledgement, AdminProblems, ApplyRequest, ApplyResult, PolicyList } from "@tulle/protocol";
import type { Translation } from "@tulle/translate";
import type { Command } from "commander";
import type { AdminClient } from "../admin-client.ts";
import { type CommonOptions, newAdminCommand, printJson, withAdmin } from "../command-context.ts";
import { CommandFailure, exitCodes, usageFailure } from "../exit-code.ts";
import { readPolicySources } from "../policy-sources.ts";
import { printChanges } from "../print-changes.ts";
import type { DocumentOptions, ReadFile } from "../source-documents.ts";
import type { Terminal } from "../terminal.ts";
import { tellFindings } from "./translate.ts";

interface ApplyOptions extends CommonOptions, DocumentOptions {
  readonly file?: readonly string[];
  readonly wait?: boolean;
  readonly timeout: string;
  readonly prune?: boolean;
  readonly dryRun?: boolean;
  readonly message?: string;
}

/** Time that the answer may take beyond the wait itself. */
const MARGIN_MS = 5_000;
const MAX_WAIT_MS = 300_000;

export const applyCommand = (terminal: Terminal): Command =>
  newAdminCommand("apply", "apply policies from files or folders as one revision: all of them or none")
    .argument("[paths...]", "YAML or JSON files, folders of them, or - for the standard input")
    .option("-f, --file <path...>", "the same, as kubectl has it")
    .option("-n, --namespace <name>", "of documents of Istio and Kubernetes that name none", "default")
    .option("--root-namespace <name>", "Istio's root namespace", "istio-system")
    .option("--strict", "refuse documents that say something without meaning here")
    .option("--wait", "wait until every connected member has taken or refused the revision")
    .option("--timeout <duration>", "longest wait, 0s to 5m", "30s")
    .option("--prune", "delete what is not given, within the namespaces that are")
    .option("--dry-run", "tell what would change, change nothing")
    .option("-m, --message <text>", "for the history")
    .action((paths: string[], options: ApplyOptions) => {
      const all = [...paths, ...(options.file ?? [])];
      if (all.length === 0) throw usageFailure("nothing to apply: name files or folders");
      return withAdmin(terminal, options, (admin) => apply(terminal, admin, all, options));
    });

const apply = async (
  terminal: Terminal,
  admin: AdminClient,
  paths: readonly string[],
  options: ApplyOptions,
): Promise<void> => {
  const timeoutMs = tryParseDuration(options.timeout);
  if (timeoutMs === undefined || timeoutMs > MAX_WAIT_MS) {
    throw usageFailure(`--timeout "${options.timeout}" is none: write a duration from 0s to 5m`);
  }
  const known = async (): Promise<readonly Policy[]> => (await admin.ask<PolicyList>("GET", "/v1/policies")).policies;
  const sources = await readPolicySources(terminal, paths, options, known);
  const order: ApplyRequest = {
    policies: sources.policies,
    dryRun: options.dryRun === true,
    prune: options.prune === true,
    message: options.message ?? "",
  };
  const result = await admin.ask<ApplyResult>("POST", "/v1/apply", order).catch((error: unknown) => {
    const problems = problemsOf(error);
    throw problems === undefined ? error : sources.failure(problems);
  });
  const told =
    options.wait === true && options.dryRun !== true
      ? await admin.ask<Acknowledgement>(
          "GET",
          `/v1/revisions/${result.revision}/acknowledgement?timeout=${options.timeout}`,
          undefined,
          timeoutMs + MARGIN_MS,
        )
      : undefined;
  const { translation } = sources;
  const translated = translation && { findings: translation.findings, statuses: translation.statuses };
  if (options.json) printJson(terminal, { ...result, ...translated, ...(told && { acknowledgement: told }) });
  else {
    if (translation !== undefined) tellTranslation(terminal, translation, sources.documents);
    printChanges(terminal, result, options.dryRun === true ? "would be " : "");
    if (told !== undefined) printAcknowledgement(terminal, told);
  }
  if (told !== undefined) failUnlessTaken(told);
};

/** What was left out of documents, and which routes of the Gateway API hold for nobody or lead nowhere. */
const tellTranslation = (terminal: Terminal, translation: Translation, documents: readonly ReadFile[]): void => {
  tellFindings(terminal, translation, documents);
  for (const { document, parent, conditions } of translation.statuses) {
    for (const { type, status, reason, message } of conditions) {
      if (status === "True") continue;
      terminal.writeError(`${document} under ${parent}: ${type}=${status} (${reason}): ${message}\n`);
    }
  }
};

const problemsOf = (error: unknown): AdminProblems["problems"] | undefined =>
  error instanceof CommandFailure && "problems" in error.detail
    ? (error.detail as AdminProblems).problems // The one refusal that has problems.
    : undefined;

const printAcknowledgement = (terminal: Terminal, { acknowledged, refused, pending }: Acknowledgement): void => {
  terminal.write(`acknowledged by ${acknowledged.length} ${acknowledged.length === 1 ? "member" : "members"}\n`);
  for (const { member, reason } of refused) terminal.writeError(`${member} refused it: ${reason}\n`);
  for (const member of pending) terminal.writeError(`${member} has not answered\n`);
};

const failUnlessTaken = (told: Acknowledgement): void => {
  const { revision, complete, refused, pending } = told;
  if (complete && refused.length === 0) return;
  const message = `revision ${revision} is applied, but ${refused.length} refused it and ${pending.length} have not answered`;
  throw new CommandFailure(exitCodes.refused, message, { ...told, error: "not-taken", message });
};
