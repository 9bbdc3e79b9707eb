import type { History, HistoryEntry } from "@tulle/protocol";
import { type Command, InvalidArgumentError } from "commander";
import { age } from "../age.ts";
import { type CommonOptions, newAdminCommand, printJson, withAdmin } from "../command-context.ts";
import { printTable } from "../table.ts";
import type { Terminal } from "../terminal.ts";

interface HistoryOptions extends CommonOptions {
  readonly limit: number;
}

export const historyCommand = (terminal: Terminal): Command =>
  newAdminCommand("history", "list the revisions of the policies, newest first")
    .option("-l, --limit <count>", "at most so many, 1 to 1000", parseLimit, 20)
    .action(async (options: HistoryOptions) => {
      const history = await withAdmin(terminal, options, (admin) =>
        admin.ask<History>("GET", `/v1/history?limit=${options.limit}`),
      );
      if (options.json) {
        printJson(terminal, history);
        return;
      }
      printTable(terminal, {
        headings: ["REVISION", "AGE", "BY", "CHANGES", "MESSAGE"],
        rows: history.entries.map(({ revision, atMs, author, changes, message }) => [
          revision,
          terminal.interactive ? age(atMs, terminal.wallNow()) : new Date(atMs).toISOString(),
          author,
          describeChanges(changes, terminal.interactive ? MOST_SHOWN : changes.length),
          message,
        ]),
        empty: "no revisions yet",
      });
    });

/** Changes of one revision that a terminal's line has room for. */
const MOST_SHOWN = 3;

const describeChanges = (changes: HistoryEntry["changes"], most: number): string => {
  const shown = changes.slice(0, most).map(({ key, change }) => `${SIGNS[change]}${key}`);
  return [...shown, ...(changes.length > most ? [`and ${changes.length - most} more`] : [])].join(" ");
};

const SIGNS = { created: "+", updated: "~", deleted: "-", unchanged: "=" } as const;

const parseLimit = (text: string): number => {
  const limit = Number(text);
  if (Number.isInteger(limit) && limit >= 1 && limit <= 1000) return limit;
  throw new InvalidArgumentError("write 1 to 1000");
};
