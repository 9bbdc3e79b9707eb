import { parseArgs } from "node:util";
import { parseDuration } from "@tulle/policy";

/** What the launcher was asked for. */
export interface LauncherOptions {
  /** Kill the config-server, a replica of reviews and every certificate in turn. */
  readonly chaos: boolean;
  /** Apply documents of Istio, task by task, and tell what is seen of each; no steady traffic. */
  readonly istio: boolean;
  /** End after this time, milliseconds. */
  readonly forMs: number | undefined;
  /** One JSON object on the last line of the standard output, everything else on the standard error. */
  readonly json: boolean;
  /** Pages asked for per second. */
  readonly rate: number;
  /** Of the page; `undefined`: 9080 when it is free, else any. */
  readonly port: number | undefined;
}

/** The command line, read: run, tell how to, or say what is wrong. */
export type Command =
  | { readonly kind: "run"; readonly options: LauncherOptions }
  | { readonly kind: "help" }
  | { readonly kind: "invalid"; readonly message: string };

export const usage = `Usage: npm start -- [options]

Runs the bookinfo application on a Tulle mesh, with traffic and a live table. Ctrl-C ends it.

  --istio          apply Istio's own documents, task by task, and tell what visitors see of each
  --chaos          kill the config-server, one replica of reviews and every certificate in turn
  --for <time>     end after this time, such as 15s or 2m
  --json           one JSON object on the last line, everything else on stderr; needs --for or --chaos
  --rate <number>  pages asked for per second, 1 to 500 (default 50)
  --port <port>    of the page (default 9080 if it is free, else any)
  --help           this text
`;

const DEFAULT_RATE = 50;
const MAX_RATE = 500;

/** Reads the command line, without the two entries for Node and the script. */
export const readArguments = (argv: readonly string[]): Command => {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        chaos: { type: "boolean", default: false },
        istio: { type: "boolean", default: false },
        for: { type: "string" },
        json: { type: "boolean", default: false },
        rate: { type: "string" },
        port: { type: "string" },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) return { kind: "help" };
    if (values.json && values.for === undefined && !values.chaos) {
      throw new RangeError("--json needs an end: add --for or --chaos");
    }
    const steady = (["chaos", "for", "json", "rate"] as const).find((option) => values[option]);
    if (values.istio && steady !== undefined) {
      throw new RangeError(`--istio makes its own traffic and ends by itself: leave out --${steady}`);
    }
    return {
      kind: "run",
      options: {
        chaos: values.chaos,
        istio: values.istio,
        forMs: values.for === undefined ? undefined : readTime(values.for),
        json: values.json,
        rate: values.rate === undefined ? DEFAULT_RATE : readNumber("--rate", values.rate, 1, MAX_RATE),
        port: values.port === undefined ? undefined : readNumber("--port", values.port, 0, 65_535),
      },
    };
  } catch (error) {
    return { kind: "invalid", message: error instanceof Error ? error.message : String(error) };
  }
};

const readTime = (text: string): number => {
  const timeMs = parseDuration(text);
  if (timeMs < 1_000) throw new RangeError(`--for is ${text}, but at least 1s is needed to see anything`);
  return timeMs;
};

const readNumber = (option: string, text: string, least: number, most: number): number => {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new RangeError(`${option} is "${text}", but a whole number from ${least} to ${most} is needed`);
};
