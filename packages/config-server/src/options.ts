import { hostname } from "node:os";
import { DEFAULT_TRUST_DOMAIN, isTrustDomain } from "@tulle/policy";
import type { Clock, Random } from "@tulle/time";
import type { GivenAuthority } from "./authority/given-authority.ts";
import type { IssueLimit } from "./enrollment/issue-limiter.ts";
import { checkIssuers, type OidcIssuer } from "./oidc/oidc-issuer.ts";
import type { StateStore } from "./store/state-store.ts";

/** Where a config-server tells what people should know. Any pino-shaped logger fits. */
export interface ConfigServerLogger {
  info(detail: object, message: string): void;
  warn(detail: object, message: string): void;
  error(detail: object, message: string): void;
}

/** How a config-server is made. All of it has a default. */
export interface ConfigServerOptions {
  /**
   * Folder of the CA's key, the store, the admin token and the audit log; made when it does not exist, mode 0700. Without
   * one everything is kept in memory, and a restart is a new mesh.
   */
  readonly stateDir?: string;
  /** Another engine than SQLite for tokens, policies and registrations. The caller closes it. @default SQLite in `stateDir` */
  readonly store?: StateStore;
  /**
   * Begins a new epoch with the present policies and endpoints, so that all members take them in full. For a store that was
   * restored from a backup: members that have seen later revisions are refused as `behind` otherwise. Once, not at each start, and where several servers share a store, while no other runs.
   * @default false
   */
  readonly newEpoch?: boolean;
  /** @default "cluster.local" */
  readonly trustDomain?: string;
  /** Address that members reach. @default "127.0.0.1" */
  readonly host?: string;
  /** For members; 0 takes a free one. Range 0 to 65535. @default 7117 */
  readonly port?: number;
  /** Address of the admin API. @default "127.0.0.1" */
  readonly adminHost?: string;
  /** Range 0 to 65535. @default 7118 */
  readonly adminPort?: number;
  /** Further host names and addresses that the server's certificate holds for. @default [] */
  readonly hosts?: readonly string[];
  /** Life of a certificate, members' and our own, milliseconds. Range 1 s to 10 years. @default 24 h */
  readonly certificateTtlMs?: number;
  /** Whose OIDC tokens members may join with; see docs/joining.md. @default none */
  readonly oidc?: readonly OidcIssuer[];
  /** A YAML or JSON file with such issuers, beside those in `oidc`; read at the start. @default none */
  readonly oidcFile?: string;
  /**
   * How long a peer of either port may take, milliseconds: for the TLS handshake, a request's headers, and the whole request
   * without the answer. Each above 0. @default 10 s, 10 s, 30 s
   */
  readonly connectionTimeouts?: {
    readonly handshakeMs?: number;
    readonly headersMs?: number;
    readonly requestMs?: number;
  };
  /** How many certificates one identity may get. @default 2,000 at once, then 20 a second */
  readonly issueLimit?: IssueLimit;
  /**
   * The user's own issuing CA: an intermediate, its key in PEM or behind a function. docs/certificates.md says how a CA is
   * exchanged for it. @default a self-signed root, made on the first start
   */
  readonly certificateAuthority?: GivenAuthority;
  /** Further roots of our own trust domain, PEM, that members trust. @default none */
  readonly trustRoots?: string;
  /** After the server's own start no endpoint is removed for so long, milliseconds. @default 30 s */
  readonly startGraceMs?: number;
  /** A member that lost its connection has so long to come back, milliseconds. @default 10 s */
  readonly disconnectGraceMs?: number;
  /** Members are pinged this often, milliseconds. @default 15 s */
  readonly pingIntervalMs?: number;
  /** @default silent */
  readonly logger?: ConfigServerLogger;
  /** @default the system's clock */
  readonly clock?: Clock;
  /** @default Math.random */
  readonly random?: Random;
}

/** The port that members dial. */
export const DEFAULT_PORT = 7117;
/** The port of the admin API. */
export const DEFAULT_ADMIN_PORT = 7118;

const MIN_CERTIFICATE_TTL_MS = 1000;
const MAX_CERTIFICATE_TTL_MS: number = 3650 * 24 * 3_600_000;

/** A logger that says nothing. */
export const silentLogger: ConfigServerLogger = {
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/**
 * Refuses options that no server could run with.
 *
 * @throws RangeError that names the option and its range.
 */
export const checkOptions = (options: ConfigServerOptions): void => {
  const { trustDomain = DEFAULT_TRUST_DOMAIN, certificateTtlMs } = options;
  if (!isTrustDomain(trustDomain)) {
    throw new RangeError(`trustDomain "${trustDomain}" is none: write a-z, 0-9, ".", "-" and "_"`);
  }
  for (const name of ["port", "adminPort"] as const) {
    const port = options[name] ?? 0;
    if (!Number.isInteger(port) || port < 0 || port > 65_535) {
      throw new RangeError(`${name} ${port} is none: write 0 to 65535`);
    }
  }
  for (const name of ["startGraceMs", "disconnectGraceMs", "pingIntervalMs"] as const) {
    const ms = options[name] ?? 0;
    if (!(ms >= 0)) throw new RangeError(`${name} ${ms} is no length of time: write milliseconds from 0`);
  }
  for (const [name, ms] of Object.entries(options.connectionTimeouts ?? {})) {
    if (!(ms > 0))
      throw new RangeError(`connectionTimeouts.${name} ${ms} is no time limit: write milliseconds above 0`);
  }
  if (options.oidc !== undefined) checkIssuers(options.oidc);
  const { burst = 1, perSecond = 1 } = options.issueLimit ?? {};
  if (!(Number.isInteger(burst) && burst >= 1 && perSecond > 0)) {
    throw new RangeError("issueLimit is out of range: write a whole burst from 1 and a rate above 0");
  }
  if (
    certificateTtlMs !== undefined &&
    !(certificateTtlMs >= MIN_CERTIFICATE_TTL_MS && certificateTtlMs <= MAX_CERTIFICATE_TTL_MS)
  ) {
    throw new RangeError(
      `certificateTtlMs ${certificateTtlMs} is out of range: write 1000 to ${MAX_CERTIFICATE_TTL_MS}`,
    );
  }
};

const EVERYWHERE: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

/** The names that clients of this machine may dial. */
export const certificateHosts = (options: ConfigServerOptions): readonly string[] => {
  const bound = [options.host, options.adminHost].filter((host) => host !== undefined && !EVERYWHERE.has(host));
  const names = ["localhost", "127.0.0.1", "::1", hostname(), ...bound, ...(options.hosts ?? [])];
  return [...new Set(names.filter((name) => name !== undefined))];
};
