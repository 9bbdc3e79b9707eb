import { type ExitCode, runCli, type Terminal } from "@tulle/cli";

/** What a command printed, and how it ended. */
export interface Captured {
  readonly code: ExitCode;
  readonly out: string;
  readonly error: string;
}

/** Runs a command line in this process. */
export const run = async (argv: readonly string[], given: Partial<Terminal> = {}): Promise<Captured> => {
  let out = "";
  let error = "";
  const terminal: Terminal = {
    write: (text) => {
      out += text;
    },
    writeError: (text) => {
      error += text;
    },
    interactive: false,
    color: false,
    environment: {},
    readInput: async () => "",
    wallNow: () => Date.now(),
    ...given,
  };
  const code = await runCli(argv, terminal);
  return { code, out, error };
};
