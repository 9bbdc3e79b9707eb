/** What the command's exit says. Scripts rely on it: docs/cli.md has the table. */
export const exitCodes = {
  ok: 0,
  /** The config-server refused, policies have problems, or a member did not take a revision. */
  refused: 1,
  /** The command line or a TULLE_* variable makes no sense. */
  usage: 2,
  /** No config-server answers there, or it is not the one of admin.json. */
  unreachable: 3,
} as const;

/** One of {@link exitCodes}. */
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

/** A command that ends with more than a zero, and what it says for people and for `--json`. */
export class CommandFailure extends Error {
  override readonly name: string = "CommandFailure";
  readonly exitCode: ExitCode;
  /** What `--json` prints. */
  readonly detail: object;

  constructor(exitCode: ExitCode, message: string, detail: object = { error: "usage", message }) {
    super(message);
    this.exitCode = exitCode;
    this.detail = detail;
  }
}

/** The command line makes no sense. */
export const usageFailure = (message: string): CommandFailure => new CommandFailure(exitCodes.usage, message);
