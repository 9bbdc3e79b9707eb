import { resolve } from "node:path";
import type { ConfigServerOptions, RunningConfigServer } from "@tulle/config-server";
import { isTrustDomain, PolicyError, tryParseDuration } from "@tulle/policy";
import { type Command, InvalidArgumentError } from "commander";
import { newCommand, printJson } from "../command-context.ts";
import { CommandFailure, exitCodes, usageFailure } from "../exit-code.ts";
import { readPolicySources } from "../policy-sources.ts";
import type { Terminal } from "../terminal.ts";

interface UpOptions {
  readonly json?: boolean;
  readonly stateDir?: string;
  readonly port?: number;
  readonly host?: string;
  readonly adminPort?: number;
  readonly trustDomain?: string;
  readonly certificateTtl?: number;
  readonly newEpoch?: boolean;
  readonly apply?: string;
}

export const upCommand = (terminal: Terminal): Command =>
  newCommand("up", "run a config-server in this process until SIGTERM or Ctrl-C")
    .option("--state-dir <folder>", "CA, store, admin token, audit log (default: $TULLE_STATE_DIR, else .tulle)")
    .option("--host <address>", "address for members (default: $TULLE_HOST, else 127.0.0.1)")
    .option("--port <port>", "port for members, 0 for a free one (default: $TULLE_PORT, else 7117)", parsePort)
    .option("--admin-port <port>", "port of the admin API (default: $TULLE_ADMIN_PORT, else 7118)", parsePort)
    .option(
      "--trust-domain <name>",
      "of the identities (default: $TULLE_TRUST_DOMAIN, else cluster.local)",
      parseDomain,
    )
    .option(
      "--certificate-ttl <duration>",
      "life of certificates (default: $TULLE_CERTIFICATE_TTL, else 24h)",
      parseTtl,
    )
    .option("--new-epoch", "after a restore from a backup: let all members take the older policies in full")
    .option("--apply <path>", "policies to apply once it runs: a file or a folder")
    .action((options: UpOptions) => up(terminal, options));

const up = async (terminal: Terminal, options: UpOptions): Promise<void> => {
  // Read first: a server that starts and then ends for a typing error would only confuse.
  const sources = options.apply === undefined ? undefined : await readPolicySources(terminal, [options.apply]);
  const server = await start(terminal, options);
  try {
    const applied = await server.apply(sources?.policies ?? [], `tulle up --apply ${options.apply ?? ""}`);
    tell(terminal, options, server, applied.revision);
  } catch (error) {
    await server.close();
    throw error instanceof PolicyError && sources !== undefined ? sources.failure(error.problems) : error;
  }
  terminal.stop?.addEventListener("abort", () => void server.close(), { once: true });
  if (terminal.stop?.aborted) await server.close();
  await server.closed;
};

const start = async (terminal: Terminal, options: UpOptions): Promise<RunningConfigServer> => {
  const { stateDir, port, host, adminPort, trustDomain, certificateTtl } = options;
  const given: ConfigServerOptions = {
    ...(stateDir === undefined ? {} : { stateDir }),
    ...(port === undefined ? {} : { port }),
    ...(host === undefined ? {} : { host }),
    ...(adminPort === undefined ? {} : { adminPort }),
    ...(trustDomain === undefined ? {} : { trustDomain }),
    ...(options.newEpoch === undefined ? {} : { newEpoch: options.newEpoch }),
    ...(certificateTtl === undefined ? {} : { certificateTtlMs: certificateTtl }),
  };
  // What people should know is printed; the log is for what goes wrong, unless more of it is asked for.
  const environment = { TULLE_LOG_LEVEL: "warn", ...terminal.environment };
  // Loaded here alone: the other commands must not wait for a CA and a store that they do not use.
  const { startConfigServer } = await import("@tulle/config-server");
  try {
    return await startConfigServer({ environment, options: given });
  } catch (error) {
    if (error instanceof RangeError) throw usageFailure(error.message);
    const message = `the config-server did not start: ${error instanceof Error ? error.message : String(error)}`;
    throw new CommandFailure(exitCodes.refused, message, { error: "not-started", message });
  }
};

const tell = (terminal: Terminal, options: UpOptions, server: RunningConfigServer, revision: string): void => {
  const { url, adminUrl, pin, stateDir } = server;
  const adminFile = resolve(stateDir, "admin.json");
  if (options.json) {
    printJson(terminal, { url, adminUrl, adminFile, pin, revision });
    return;
  }
  const admin = stateDir === ".tulle" ? "" : ` --admin ${adminFile}`;
  const lines = [
    `config-server\t${url}`,
    `admin API\t${adminUrl}`,
    `admin file\t${adminFile}`,
    `revision\t${revision}`,
    "",
    "A process joins with a token:",
    `  TULLE_SERVER=${url} TULLE_TOKEN=$(tulle token create <service>${admin}) node app.js`,
  ];
  terminal.write(`${lines.join("\n")}\n`);
};

const parsePort = (text: string): number => {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new InvalidArgumentError("write 0 to 65535");
};

const parseDomain = (text: string): string => {
  if (isTrustDomain(text)) return text;
  throw new InvalidArgumentError('write a-z, 0-9, ".", "-" and "_"');
};

const parseTtl = (text: string): number => {
  const ms = tryParseDuration(text);
  if (ms !== undefined) return ms;
  throw new InvalidArgumentError('write a duration such as "24h"');
};
