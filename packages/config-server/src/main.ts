import { pino } from "pino";
import { type ConfigServer, createConfigServer } from "./create-config-server.ts";
import { type ConfigServerEnvironment, optionsFromEnvironment } from "./environment.ts";
import type { ConfigServerLogger, ConfigServerOptions } from "./options.ts";

/** Where a config-server process keeps its state when nobody says otherwise. */
export const DEFAULT_STATE_DIR = ".tulle";

/** What a process gives its config-server. */
export interface StartOptions {
  /** @default process.env */
  readonly environment?: ConfigServerEnvironment;
  /** Win over the environment. */
  readonly options?: ConfigServerOptions;
  /** @default pino: JSON lines on the standard error stream, level TULLE_LOG_LEVEL or "info" */
  readonly logger?: ConfigServerLogger;
}

/** A config-server that a signal ends. */
export interface RunningConfigServer extends ConfigServer {
  readonly stateDir: string;
  /** Settles when it was closed, by a signal or by `close`. */
  readonly closed: Promise<void>;
}

/**
 * Runs a config-server as this process's work: options from the environment, a log, and SIGTERM and SIGINT that close it. A
 * second signal ends the process at once.
 *
 * @throws RangeError for options out of range; StateFolderInUse when another config-server runs on the state folder; Error
 * when the folder or an address cannot be used.
 */
export const startConfigServer = async (start: StartOptions = {}): Promise<RunningConfigServer> => {
  const environment = start.environment ?? process.env;
  const options = { stateDir: DEFAULT_STATE_DIR, ...optionsFromEnvironment(environment), ...start.options };
  const logger = start.logger ?? pino({ level: environment.TULLE_LOG_LEVEL ?? "info" }, pino.destination(2));
  const server = await createConfigServer({ ...options, logger });

  const { promise: closed, resolve, reject } = Promise.withResolvers<void>();
  // Whoever does not wait for it must not be ended by it.
  closed.catch(() => undefined);
  const close = (): Promise<void> => {
    for (const signal of ENDING_SIGNALS) process.off(signal, onSignal);
    server.close().then(resolve, reject);
    return closed;
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    logger.info({ signal }, "the config-server closes");
    for (const each of ENDING_SIGNALS) process.off(each, onSignal).once(each, () => process.exit(130));
    void close().catch((error: unknown) => logger.error({ err: error }, "the config-server did not close cleanly"));
  };
  for (const signal of ENDING_SIGNALS) process.on(signal, onSignal);

  return { ...server, stateDir: options.stateDir, close, closed };
};

const ENDING_SIGNALS = ["SIGTERM", "SIGINT"] as const;
