import type { TokenIssued, TokenList, TokenRequest } from "@tulle/protocol";
import { Command } from "commander";
import { age } from "../age.ts";
import { type CommonOptions, newAdminCommand, printJson, withAdmin } from "../command-context.ts";
import { printTable } from "../table.ts";
import type { Terminal } from "../terminal.ts";

export const tokenCommand = (terminal: Terminal): Command =>
  new Command("token")
    .description("make, list and revoke the tokens with which processes join the mesh")
    .addCommand(createToken(terminal))
    .addCommand(listTokens(terminal))
    .addCommand(revokeToken(terminal));

interface CreateOptions extends CommonOptions {
  readonly namespace: string;
  readonly ttl: string;
  readonly multi?: boolean;
}

const createToken = (terminal: Terminal): Command =>
  newAdminCommand("create", "make a join token and print it: it is shown only this once")
    .argument("<service-account>", "the identity that whoever presents the token gets; usually the service's name")
    .option("-n, --namespace <name>", "namespace of the identity", "default")
    .option("--ttl <duration>", "life of the token, 1s to 576h", "1h")
    .option("--multi", "may be used by any number of processes until it expires")
    .action(async (serviceAccount: string, options: CreateOptions) => {
      const order: TokenRequest = {
        serviceAccount,
        namespace: options.namespace,
        ttl: options.ttl,
        uses: options.multi === true ? "multi" : "single",
      };
      const issued = await withAdmin(terminal, options, (admin) => admin.ask<TokenIssued>("POST", "/v1/tokens", order));
      if (options.json) {
        printJson(terminal, issued);
        return;
      }
      // The token alone on the standard output, so that TULLE_TOKEN=$(tulle token create reviews) works.
      terminal.write(`${issued.token}\n`);
      if (terminal.interactive) {
        terminal.writeError(`id ${issued.id}, expires ${age(issued.expiresAtMs, terminal.wallNow())}\n`);
      }
    });

const listTokens = (terminal: Terminal): Command =>
  newAdminCommand("list", "list the join tokens").action(async (options: CommonOptions) => {
    const list = await withAdmin(terminal, options, (admin) => admin.ask<TokenList>("GET", "/v1/tokens"));
    if (options.json) {
      printJson(terminal, list);
      return;
    }
    printTable(terminal, {
      headings: ["ID", "IDENTITY", "USES", "STATE", "EXPIRES"],
      rows: list.tokens.map(({ id, namespace, serviceAccount, uses, state, expiresAtMs }) => [
        id,
        `${namespace}/${serviceAccount}`,
        uses,
        state,
        terminal.interactive ? age(expiresAtMs, terminal.wallNow()) : new Date(expiresAtMs).toISOString(),
      ]),
      empty: "no tokens",
    });
  });

const revokeToken = (terminal: Terminal): Command =>
  newAdminCommand("revoke", "make a join token useless; members that joined with it stay")
    .argument("<id>", "from `tulle token list`")
    .action(async (id: string, options: CommonOptions) => {
      await withAdmin(terminal, options, (admin) => admin.ask("DELETE", `/v1/tokens/${encodeURIComponent(id)}`));
      if (options.json) printJson(terminal, { revoked: id });
      else terminal.write(`revoked\t${id}\n`);
    });
