import type { AdminFileRotated, AdminTokenIssued, AdminTokenList, AdminTokenRequest } from "@tulle/protocol";
import { Command, Option } from "commander";
import { age } from "../age.ts";
import { type CommonOptions, newAdminCommand, printJson, withAdmin } from "../command-context.ts";
import { printTable } from "../table.ts";
import type { Terminal } from "../terminal.ts";

export const adminCommand = (terminal: Terminal): Command =>
  new Command("admin")
    .description("make, list and revoke tokens for the admin API; only the token of admin.json may")
    .addCommand(createAdminToken(terminal))
    .addCommand(listAdminTokens(terminal))
    .addCommand(revokeAdminToken(terminal))
    .addCommand(rotateAdminToken(terminal));

interface CreateOptions extends CommonOptions {
  readonly ttl: string;
  readonly scope: "read" | "write";
}

const createAdminToken = (terminal: Terminal): Command =>
  newAdminCommand("create", "make an admin token and print it: it is shown only this once")
    .argument("<name>", "whose it is: the history and the audit log say admin:<name>")
    .option("--ttl <duration>", "life of the token, 1m to 8760h", "8h")
    .addOption(new Option("--scope <scope>", "what it may do").choices(["read", "write"]).default("write"))
    .action(async (name: string, { ttl, scope, ...options }: CreateOptions) => {
      const order: AdminTokenRequest = { name, ttl, scope };
      const issued = await withAdmin(terminal, options, (admin) =>
        admin.ask<AdminTokenIssued>("POST", "/v1/admin-tokens", order),
      );
      if (options.json) printJson(terminal, issued);
      else terminal.write(`${issued.token}\n`);
    });

const listAdminTokens = (terminal: Terminal): Command =>
  newAdminCommand("list", "list the admin tokens").action(async (options: CommonOptions) => {
    const list = await withAdmin(terminal, options, (admin) => admin.ask<AdminTokenList>("GET", "/v1/admin-tokens"));
    if (options.json) {
      printJson(terminal, list);
      return;
    }
    printTable(terminal, {
      headings: ["ID", "NAME", "SCOPE", "STATE", "EXPIRES"],
      rows: list.tokens.map(({ id, name, scope, state, expiresAtMs }) => [
        id,
        name,
        scope,
        state,
        terminal.interactive ? age(expiresAtMs, terminal.wallNow()) : new Date(expiresAtMs).toISOString(),
      ]),
      empty: "no admin tokens beside that of admin.json",
    });
  });

const revokeAdminToken = (terminal: Terminal): Command =>
  newAdminCommand("revoke", "make an admin token useless at once")
    .argument("<id>", "from `tulle admin list`")
    .action(async (id: string, options: CommonOptions) => {
      await withAdmin(terminal, options, (admin) => admin.ask("DELETE", `/v1/admin-tokens/${encodeURIComponent(id)}`));
      if (options.json) printJson(terminal, { revoked: id });
      else terminal.write(`revoked\t${id}\n`);
    });

const rotateAdminToken = (terminal: Terminal): Command =>
  newAdminCommand("rotate", "put a new token into admin.json; the one before ends at once").action(
    async (options: CommonOptions) => {
      const rotated = await withAdmin(terminal, options, (admin) =>
        admin.ask<AdminFileRotated>("POST", "/v1/admin-tokens/rotate", {}),
      );
      if (options.json) printJson(terminal, rotated);
      else terminal.write("rotated\tthe config-server's admin.json has the new token\n");
    },
  );
