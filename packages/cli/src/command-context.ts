import { Command } from "commander";
import { type AdminClient, adminFilePath, openAdminClient } from "./admin-client.ts";
import type { Terminal } from "./terminal.ts";

/** The options that every command has. */
export interface CommonOptions {
  readonly json?: boolean;
  readonly admin?: string;
}

/** A command with the options that all have. */
export const newCommand = (name: string, description: string): Command =>
  new Command(name).description(description).option("--json", "print JSON instead of a table or text");

/** A command that talks to a config-server. */
export const newAdminCommand = (name: string, description: string): Command =>
  newCommand(name, description).option(
    "--admin <file>",
    "admin.json of the config-server (default: $TULLE_ADMIN, else admin.json in $TULLE_STATE_DIR, else .tulle/admin.json)",
  );

/** Runs something with the admin API open. */
export const withAdmin = async <T>(
  terminal: Terminal,
  options: CommonOptions,
  run: (admin: AdminClient) => Promise<T>,
): Promise<T> => {
  const admin = await openAdminClient(adminFilePath(options.admin, terminal.environment));
  try {
    return await run(admin);
  } finally {
    await admin.close();
  }
};

/** Prints a value as JSON: one line for scripts, indented for people. */
export const printJson = (terminal: Terminal, value: unknown): void =>
  terminal.write(`${JSON.stringify(value, undefined, terminal.interactive ? 2 : undefined)}\n`);
