/** Where a command reads and writes, handed in so that tests run commands in their own process. */
export interface Terminal {
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
  /** Whether somebody looks: then tables are drawn. */
  readonly interactive: boolean;
  /** Whether colours may be used: an interactive terminal without NO_COLOR. */
  readonly color: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly readInput: () => Promise<string>;
  /** Milliseconds since 1970. */
  readonly wallNow: () => number;
  /** Ends commands that run until they are stopped. */
  readonly stop?: AbortSignal;
}

/** The terminal of this process. */
export const processTerminal = (): Terminal => ({
  write: (text) => void process.stdout.write(text),
  writeError: (text) => void process.stderr.write(text),
  interactive: process.stdout.isTTY === true,
  // The standard of no-color.org: any value but the empty one.
  color: process.stdout.isTTY === true && !process.env.NO_COLOR,
  environment: process.env,
  readInput: async () => {
    const chunks: Buffer[] = [];
    // Without an encoding the chunks of stdin are buffers.
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString("utf8");
  },
  wallNow: () => Date.now(),
});
