import type { ApplyResult, RollbackRequest } from "@tulle/protocol";
import type { Command } from "commander";
import { type CommonOptions, newAdminCommand, printJson, withAdmin } from "../command-context.ts";
import { printChanges } from "../print-changes.ts";
import type { Terminal } from "../terminal.ts";

export const rollbackCommand = (terminal: Terminal): Command =>
  newAdminCommand("rollback", "make the content of an earlier revision the newest one")
    .argument("<revision>", "from `tulle history`: epoch.number, or the number alone")
    .action(async (revision: string, options: CommonOptions) => {
      const order: RollbackRequest = { revision };
      const result = await withAdmin(terminal, options, (admin) =>
        admin.ask<ApplyResult>("POST", "/v1/rollback", order),
      );
      if (options.json) printJson(terminal, result);
      else printChanges(terminal, result, "");
    });
