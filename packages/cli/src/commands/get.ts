import { namespaceOf, type Policy, type PolicyKind } from "@tulle/policy";
import type { PolicyList } from "@tulle/protocol";
import type { Command } from "commander";
import { stringify } from "yaml";
import { type CommonOptions, newAdminCommand, printJson, withAdmin } from "../command-context.ts";
import { CommandFailure, exitCodes } from "../exit-code.ts";
import { policyKind } from "../policy-kind.ts";
import { printTable } from "../table.ts";
import type { Terminal } from "../terminal.ts";

interface GetOptions extends CommonOptions {
  readonly namespace?: string;
  readonly yaml?: boolean;
}

export const getCommand = (terminal: Terminal): Command =>
  newAdminCommand("get", "list policies, or print one as YAML")
    .argument("[kind]", "Mesh, Service, Route, Access or Authentication")
    .argument("[name]", "prints the policy of this name as YAML, ready to be applied again")
    .option("-n, --namespace <name>", "only this namespace (with a name: default)")
    .option("--yaml", "print all as YAML documents")
    .action((kind: string | undefined, name: string | undefined, options: GetOptions) =>
      get(terminal, kind === undefined ? undefined : policyKind(kind), name, options),
    );

const get = async (
  terminal: Terminal,
  kind: PolicyKind | undefined,
  name: string | undefined,
  options: GetOptions,
): Promise<void> => {
  const namespace = options.namespace ?? (name === undefined ? undefined : "default");
  const query = new URLSearchParams();
  for (const [field, value] of Object.entries({ kind, namespace, name }))
    if (value !== undefined) query.set(field, value);
  const list = await withAdmin(terminal, options, (admin) => admin.ask<PolicyList>("GET", `/v1/policies?${query}`));
  if (name !== undefined && list.policies.length === 0) {
    const message = `there is no ${kind} "${name}" in the namespace ${namespace}`;
    throw new CommandFailure(exitCodes.refused, message, { error: "unknown-policy", message });
  }
  if (options.json) printJson(terminal, list);
  else if (options.yaml || name !== undefined) terminal.write(list.policies.map(asYaml).join("---\n"));
  else {
    printTable(terminal, {
      headings: ["KIND", "NAMESPACE", "NAME", "FROM"],
      rows: list.policies.map((policy) => [policy.kind, namespaceOf(policy), policy.name, originOf(policy)]),
      empty: "no policies",
    });
  }
};

const asYaml = ({ origin: _, ...policy }: Policy): string => stringify(policy);

const originOf = ({ origin }: Policy): string => (origin === undefined ? "" : `${origin.file}:${origin.line}`);
