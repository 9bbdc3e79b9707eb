import type { PlaintextReport } from "@tulle/protocol";
import type { Command } from "commander";
import { age } from "../age.ts";
import { type CommonOptions, newAdminCommand, printJson, withAdmin } from "../command-context.ts";
import { printTable } from "../table.ts";
import type { Terminal } from "../terminal.ts";

interface PlaintextOptions extends CommonOptions {
  readonly namespace: string;
  readonly since: string;
}

export const plaintextCommand = (terminal: Terminal): Command =>
  newAdminCommand(
    "plaintext",
    "list the callers that still come in without an identity, which strict mTLS would refuse",
  )
    .argument("[service]", "only callers of this service")
    .option("-n, --namespace <namespace>", "of the service", "default")
    .option("--since <duration>", "only callers that came within this time, 1s to 1h", "1h")
    .action(async (service: string | undefined, options: PlaintextOptions) => {
      const query = new URLSearchParams({
        since: options.since,
        ...(service === undefined ? {} : { service: `${options.namespace}/${service}` }),
      });
      const report = await withAdmin(terminal, options, (admin) =>
        admin.ask<PlaintextReport>("GET", `/v1/plaintext?${query}`),
      );
      if (options.json) {
        printJson(terminal, report);
        return;
      }
      printTable(terminal, {
        headings: ["SERVICE", "CALLER", "INSTANCES OF", "AGENT", "REQUESTS", "LAST SEEN"],
        rows: report.callers.map((caller) => [
          caller.service,
          caller.transport === "tls" ? `${caller.address} (TLS, no certificate)` : caller.address,
          caller.from.join(",") || "-",
          caller.userAgent ?? "-",
          String(caller.requests),
          terminal.interactive ? age(caller.lastSeenMs, terminal.wallNow()) : new Date(caller.lastSeenMs).toISOString(),
        ]),
        empty: `nobody came in without an identity within ${options.since}`,
      });
    });
