import { join } from "node:path";
import type { AuditEvent, AuditLine } from "@tulle/config-server";
import { type Command, InvalidArgumentError } from "commander";
import { newCommand, printJson } from "../command-context.ts";
import { CommandFailure, exitCodes, usageFailure } from "../exit-code.ts";
import { printTable } from "../table.ts";
import type { Terminal } from "../terminal.ts";

interface AuditOptions {
  readonly json?: boolean;
  readonly stateDir?: string;
}

interface ListOptions extends AuditOptions {
  readonly limit: number;
  readonly event?: string;
  readonly actor?: string;
  readonly find?: string;
}

interface VerifyOptions extends AuditOptions {
  readonly head?: string;
}

export const auditCommand = (terminal: Terminal): Command =>
  folderCommand("audit", "show who was given what, and who was refused; reads the state folder, no server is needed")
    .option("--limit <lines>", "the last so many lines, 1 to 100000", parseLimit, 50)
    .option("--event <name>", "only such events, such as certificate-issued")
    .option("--actor <name>", "only those of a SPIFFE ID, an address, admin or program")
    .option("--find <text>", "only lines with this text: a serial, a thumbprint, a token's id")
    .action((options: ListOptions) => list(terminal, options))
    .addCommand(
      folderCommand("verify", "check that no line was changed, removed, added or moved")
        .option("--head <hash>", "a head that an earlier verify printed: shows whether the end was cut off")
        .action((_: VerifyOptions, command: Command) => verify(terminal, command.optsWithGlobals<VerifyOptions>())),
    );

const folderCommand = (name: string, description: string): Command =>
  newCommand(name, description).option(
    "--state-dir <folder>",
    "of the config-server (default: $TULLE_STATE_DIR, else .tulle)",
  );

type Recorded = AuditEvent & { readonly seq: number; readonly at: string };

const list = async (terminal: Terminal, { limit, event, actor, find, stateDir, json }: ListOptions): Promise<void> => {
  const { lines } = await readLines(terminal, stateDir);
  const fits = ({ text, recorded }: { readonly text: string; readonly recorded: Recorded }): boolean =>
    (event === undefined || recorded.event === event) &&
    (actor === undefined || recorded.actor === actor) &&
    (find === undefined || text.includes(find));
  const found = lines
    .flatMap(({ text }) => {
      const recorded = recordedIn(text);
      return recorded === undefined ? [] : [{ text, recorded }];
    })
    .filter(fits)
    .slice(-limit);
  if (json) {
    for (const { text } of found) terminal.write(`${text}\n`);
    return;
  }
  printTable(terminal, {
    headings: ["SEQ", "AT", "EVENT", "ACTOR", "DETAIL"],
    rows: found.map(({ recorded }) => [
      String(recorded.seq),
      recorded.at,
      recorded.event,
      recorded.actor,
      Object.entries(recorded.detail)
        .map(([name, value]) => `${name}=${value}`)
        .join(" "),
    ]),
    empty: "no such lines",
  });
};

const verify = async (terminal: Terminal, { stateDir, head, json }: VerifyOptions): Promise<void> => {
  const { lines, verifyChain } = await readLines(terminal, stateDir);
  const verdict = verifyChain(lines, head);
  if (!verdict.intact) {
    const message = `${verdict.file}:${verdict.line}: ${verdict.reason}`;
    throw new CommandFailure(exitCodes.refused, message, { error: "tampered", ...verdict });
  }
  if (json) printJson(terminal, verdict);
  else
    terminal.write(
      `intact\t${verdict.lines} lines, ${verdict.firstSeq} to ${verdict.lastSeq}\nhead\t${verdict.head}\n`,
    );
};

const readLines = async (terminal: Terminal, stateDir: string | undefined) => {
  // Loaded here alone: the other commands must not wait for what they do not use.
  const { AUDIT_FILE, readAuditLog, verifyChain } = await import("@tulle/config-server");
  const file = join(stateDir ?? (terminal.environment.TULLE_STATE_DIR || ".tulle"), AUDIT_FILE);
  const lines: readonly AuditLine[] = await readAuditLog(file).catch((error: unknown) => {
    throw usageFailure(`${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  });
  return { lines, verifyChain };
};

const recordedIn = (text: string): Recorded | undefined => {
  try {
    // The log's own lines; what is none has no event and is shown by `verify`.
    const line = JSON.parse(text) as Recorded;
    return typeof line.event === "string" && typeof line.detail === "object" ? line : undefined;
  } catch {
    return undefined;
  }
};

const parseLimit = (text: string): number => {
  if (/^[1-9]\d{0,5}$/.test(text) && Number(text) <= 100_000) return Number(text);
  throw new InvalidArgumentError("write 1 to 100000");
};
