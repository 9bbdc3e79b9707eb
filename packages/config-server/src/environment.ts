import { readFileSync } from "node:fs";
import { tryParseDuration } from "@tulle/policy";
import type { GivenAuthority } from "./authority/given-authority.ts";
import type { ConfigServerOptions } from "./options.ts";

/** The variables that a config-server reads; docs/environment.md says what each means. */
export type ConfigServerEnvironment = Readonly<Record<string, string | undefined>>;

/**
 * Reads a config-server's options from TULLE_* variables. An empty variable is one that is not set.
 *
 * @throws RangeError that names the variable.
 */
export const optionsFromEnvironment = (environment: ConfigServerEnvironment): ConfigServerOptions => {
  const text = (name: string): string | undefined => environment[name]?.trim() || undefined;
  const port = (name: string): number | undefined => {
    const value = text(name);
    if (value === undefined) return undefined;
    if (!/^\d{1,5}$/.test(value)) throw new RangeError(`${name}="${value}" is no port: write 0 to 65535`);
    return Number(value);
  };
  const duration = (name: string): number | undefined => {
    const value = text(name);
    const ms = value === undefined ? undefined : tryParseDuration(value);
    if (value !== undefined && ms === undefined) {
      throw new RangeError(`${name}="${value}" is no duration: write a number and a unit, such as "30s" or "24h"`);
    }
    return ms;
  };
  const file = (name: string): string | undefined => {
    const path = text(name);
    try {
      return path === undefined ? undefined : readFileSync(path, "utf8");
    } catch (cause) {
      throw new RangeError(`${name}="${path}" cannot be read`, { cause });
    }
  };
  const hosts = text("TULLE_HOSTS")
    ?.split(",")
    .map((host) => host.trim())
    .filter((host) => host !== "");
  return withoutAbsent({
    stateDir: text("TULLE_STATE_DIR"),
    trustDomain: text("TULLE_TRUST_DOMAIN"),
    host: text("TULLE_HOST"),
    port: port("TULLE_PORT"),
    adminHost: text("TULLE_ADMIN_HOST"),
    adminPort: port("TULLE_ADMIN_PORT"),
    hosts,
    certificateTtlMs: duration("TULLE_CERTIFICATE_TTL"),
    oidcFile: text("TULLE_OIDC_FILE"),
    certificateAuthority: givenAuthority(file("TULLE_CA_CHAIN_FILE"), file("TULLE_CA_KEY_FILE")),
    trustRoots: file("TULLE_TRUST_ROOTS_FILE"),
    startGraceMs: duration("TULLE_START_GRACE"),
    disconnectGraceMs: duration("TULLE_DISCONNECT_GRACE"),
    pingIntervalMs: duration("TULLE_PING_INTERVAL"),
  });
};

const givenAuthority = (
  certificateChain: string | undefined,
  privateKey: string | undefined,
): GivenAuthority | undefined => {
  if (certificateChain === undefined && privateKey === undefined) return undefined;
  if (certificateChain === undefined || privateKey === undefined) {
    throw new RangeError("TULLE_CA_CHAIN_FILE and TULLE_CA_KEY_FILE go together: one is missing");
  }
  return { certificateChain, privateKey };
};

type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** The fields that are there: an option that is `undefined` is not the same as one that is absent. */
const withoutAbsent = <T extends object>(options: T): Present<T> =>
  // Only undefined values go, which is what the type says.
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Present<T>;
