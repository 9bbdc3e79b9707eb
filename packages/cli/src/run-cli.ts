import { createRequire } from "node:module";
import { Command, CommanderError } from "commander";
import { adminCommand } from "./commands/admin.ts";
import { applyCommand } from "./commands/apply.ts";
import { auditCommand } from "./commands/audit.ts";
import { certificatesCommand } from "./commands/certificates.ts";
import { deleteCommand } from "./commands/delete.ts";
import { explainCommand } from "./commands/explain.ts";
import { getCommand } from "./commands/get.ts";
import { historyCommand } from "./commands/history.ts";
import { plaintextCommand } from "./commands/plaintext.ts";
import { rollbackCommand } from "./commands/rollback.ts";
import { statusCommand } from "./commands/status.ts";
import { tokenCommand } from "./commands/token.ts";
import { translateCommand } from "./commands/translate.ts";
import { upCommand } from "./commands/up.ts";
import { CommandFailure, type ExitCode, exitCodes } from "./exit-code.ts";
import { processTerminal, type Terminal } from "./terminal.ts";

/**
 * Runs one command line.
 *
 * @param argv without node and script: `["apply", "policies/"]`.
 * @returns what the process should exit with; see {@link exitCodes}.
 */
export const runCli = async (argv: readonly string[], terminal: Terminal = processTerminal()): Promise<ExitCode> => {
  const program = createProgram(terminal);
  try {
    await program.parseAsync([...argv], { from: "user" });
    return exitCodes.ok;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    if (!(error instanceof CommandFailure)) throw error;
    if (argv.includes("--json")) terminal.write(`${JSON.stringify(error.detail)}\n`);
    terminal.writeError(`${paint(terminal, error.message)}\n`);
    return error.exitCode;
  }
};

const createProgram = (terminal: Terminal): Command => {
  const program = new Command("tulle")
    .description("the command line of the Tulle mesh")
    .version(ownVersion())
    .addCommand(upCommand(terminal))
    .addCommand(applyCommand(terminal))
    .addCommand(translateCommand(terminal))
    .addCommand(getCommand(terminal))
    .addCommand(deleteCommand(terminal))
    .addCommand(historyCommand(terminal))
    .addCommand(rollbackCommand(terminal))
    .addCommand(statusCommand(terminal))
    .addCommand(plaintextCommand(terminal))
    .addCommand(explainCommand(terminal))
    .addCommand(tokenCommand(terminal))
    .addCommand(certificatesCommand(terminal))
    .addCommand(adminCommand(terminal))
    .addCommand(auditCommand(terminal));
  everyCommand(program, (command) =>
    command
      .exitOverride()
      .showHelpAfterError("(--help tells what a command takes)")
      .configureOutput({ writeOut: terminal.write, writeErr: terminal.writeError }),
  );
  return program;
};

const everyCommand = (command: Command, change: (command: Command) => void): void => {
  change(command);
  for (const child of command.commands) everyCommand(child, change);
};

const paint = (terminal: Terminal, text: string): string => (terminal.color ? `\x1b[31m${text}\x1b[39m` : text);

const ownVersion = (): string => {
  const manifest: { readonly version: string } = createRequire(import.meta.url)("../package.json");
  return manifest.version;
};
