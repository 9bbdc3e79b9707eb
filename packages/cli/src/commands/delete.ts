import type { ApplyResult, DeleteRequest } from "@tulle/protocol";
import type { Command } from "commander";
import { type CommonOptions, newAdminCommand, printJson, withAdmin } from "../command-context.ts";
import { policyKind } from "../policy-kind.ts";
import { printChanges } from "../print-changes.ts";
import type { Terminal } from "../terminal.ts";

interface DeleteOptions extends CommonOptions {
  readonly namespace: string;
}

export const deleteCommand = (terminal: Terminal): Command =>
  newAdminCommand("delete", "delete policies as one revision; refused while others refer to them")
    .argument("<kind>", "Mesh, Service, Route, Access or Authentication")
    .argument("<names...>")
    .option("-n, --namespace <name>", "where they are", "default")
    .action(async (kind: string, names: string[], options: DeleteOptions) => {
      const { namespace } = options;
      const order: DeleteRequest = { keys: names.map((name) => ({ kind: policyKind(kind), namespace, name })) };
      const result = await withAdmin(terminal, options, (admin) => admin.ask<ApplyResult>("POST", "/v1/delete", order));
      if (options.json) printJson(terminal, result);
      else printChanges(terminal, result, "");
    });
