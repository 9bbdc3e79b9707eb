import { numberLimits, wrongHost } from "./field-limits.ts";
import type { HealthCheck } from "./health-check-policy.ts";
import { checkOutsideTls, effectiveOutsideTls, type OutsideTls } from "./outside-tls.ts";
import type { Check } from "./policy-check.ts";
import { namespaceOf, type PolicyMeta } from "./policy-meta.ts";
import type { ServicePolicy } from "./service-policy.ts";

const resilienceFields = [
  "balancer",
  "connectionPool",
  "circuitBreaker",
  "adaptiveThrottling",
  "retryBudget",
  "outlierDetection",
  "healthCheck",
  "slowStart",
  "subsetting",
  "panicThreshold",
  "hashKey",
] as const;

/** What a service outside the mesh has in common with one inside: how the client balances, bounds and repeats its calls. */
export type Resilience = Pick<ServicePolicy, (typeof resilienceFields)[number]>;

/**
 * Hosts outside the mesh that calls go to with the resilience of the mesh: DNS or fixed addresses, TLS with the roots of
 * one's own, routes, retries, circuits. Known elsewhere as ServiceEntry, terminating gateway.
 */
export interface ExternalServicePolicy extends PolicyMeta, Resilience {
  readonly kind: "ExternalService";
  /**
   * Names in URLs. With `resolution: none` also `*.example.com`: every name below it. At most 100. A host belongs to one
   * service, or to several of which each has a port of its own.
   */
  readonly hosts: readonly string[];
  /** Of the addresses that name none, and in URLs. @default 443, or 80 with `tls.mode: disable` */
  readonly port?: number;
  /**
   * `dns`: all addresses of the names, looked up again as their TTL says. `static`: `addresses` as they are written. `none`:
   * calls to the hosts are handed on untouched, also where the mesh is `registry-only`. @default "dns"
   */
  readonly resolution?: "dns" | "static" | "none";
  /** `host`, `host:port` or `[::1]:port`: with `dns` other names to look up than the hosts, with `static` where to connect. At most 100. @default the hosts */
  readonly addresses?: readonly string[];
  /** @default { mode: "simple" } */
  readonly tls?: OutsideTls;
}

/** Time to a ready connection where an `ExternalService` says nothing: 5 s (Envoy), for the outside is farther away. */
export const DEFAULT_EXTERNAL_CONNECT_TIMEOUT = "5s";

/** Hosts, and addresses, that one policy may name. */
export const MAX_EXTERNAL_NAMES = 100;

/** Whether calls to its hosts are handed on untouched. */
export const passesUntouched = ({ resolution }: ExternalServicePolicy): boolean => resolution === "none";

/** The `Service` that the client's layers work with: the same resilience, and TLS unless it is turned off. */
export const serviceOfExternal = (external: ExternalServicePolicy): ServicePolicy => {
  const { name, hosts, origin } = external;
  // What is left out stays absent: a field that is set to undefined is no policy.
  const shared: Resilience = Object.fromEntries(
    resilienceFields.flatMap((field) => (external[field] === undefined ? [] : [[field, external[field]]])),
  );
  const { healthCheck } = shared;
  return {
    kind: "Service",
    name,
    namespace: namespaceOf(external),
    hosts,
    port: externalPortOf(external),
    ...shared,
    ...(healthCheck === undefined || healthCheck === false ? {} : { healthCheck: askingFor(hosts[0], healthCheck) }),
    connectionPool: { connectTimeout: DEFAULT_EXTERNAL_CONNECT_TIMEOUT, ...external.connectionPool },
    tls: external.tls ?? { mode: "simple" },
    ...(origin === undefined ? {} : { origin }),
  };
};

/** A server outside knows its own hosts, and not the policy's name. */
const askingFor = (host: string | undefined, check: HealthCheck): HealthCheck =>
  check.http === undefined || host === undefined ? check : { ...check, http: { host, ...check.http } };

/** The port of addresses that name none, and in URLs. */
export const externalPortOf = (external: ExternalServicePolicy): number =>
  external.port ?? (isPlaintext(external) ? 80 : 443);

/** Whether TLS was turned off. */
export const isPlaintext = ({ tls }: ExternalServicePolicy): boolean => tls?.mode === "disable";

/** One name or address behind which an outside service answers. */
export interface OutsideTarget {
  /** Names that mean the same place, to be tried one after the other until one is found; one IP address, or one name. */
  readonly names: readonly string[];
  readonly port: number;
  /** The name that TLS asks for; `undefined` in plaintext. */
  readonly servername: string | undefined;
  /** The host whose calls may go there; `undefined`: those of all hosts. */
  readonly host: string | undefined;
}

/**
 * Where the calls to a service outside the mesh may go. Where it has several hosts that are told apart, by their own
 * addresses or by the name that TLS asks for, each host has its own targets.
 */
export const targetsOfExternal = (external: ExternalServicePolicy): readonly OutsideTarget[] => {
  if (passesUntouched(external)) return [];
  const tls = effectiveOutsideTls(external.tls ?? {});
  const port = externalPortOf(external);
  const hosts = external.hosts.map((host) => host.toLowerCase());
  const apart = hosts.length > 1 && (external.addresses === undefined || (tls !== undefined && tls.sni === undefined));
  return (apart ? hosts : hosts.slice(0, 1)).flatMap((host) =>
    (external.addresses ?? [host]).map((written): OutsideTarget => {
      const address = parseOutsideAddress(written);
      return {
        names: [address?.host ?? written],
        port: address?.port ?? port,
        servername: tls === undefined ? undefined : (tls.sni ?? host),
        host: apart ? host : undefined,
      };
    }),
  );
};

const ADDRESS = /^(?:\[(?<v6>[0-9a-f:.]+)\]|(?<name>[^:[\]\s]+))(?::(?<port>\d{1,5}))?$/;
/** Eight groups of hexadecimal digits, of which one run of zeroes may be left out. */
const isIpv6 = (text: string): boolean => {
  const halves = text.split("::");
  const groups = halves.flatMap((half) => (half === "" ? [] : half.split(":")));
  const rightCount = halves.length === 1 ? groups.length === 8 : halves.length === 2 && groups.length < 8;
  return rightCount && groups.every((group) => /^[0-9a-f]{1,4}$/.test(group));
};

/** Reads `host`, `host:port`, `::1` or `[::1]:port`; `undefined` for what is none of them. */
export const parseOutsideAddress = (
  written: string,
): { readonly host: string; readonly port: number | undefined } | undefined => {
  const text = written.toLowerCase();
  if (isIpv6(text)) return { host: text, port: undefined };
  const { v6, name, port } = ADDRESS.exec(text)?.groups ?? {};
  if ((name !== undefined && wrongHost(name) !== undefined) || (v6 !== undefined && !isIpv6(v6))) return undefined;
  const host = v6 ?? name;
  const number = port === undefined ? undefined : Number(port);
  if (host === undefined || (number !== undefined && (number < 1 || number > 65_535))) return undefined;
  return { host, port: number };
};

/** What is wrong with an address of an outside service, if anything. */
export const wrongOutsideAddress = (text: string): string | undefined =>
  parseOutsideAddress(text) === undefined
    ? `"${text}" is not an address: write "host", "host:port", "10.0.0.7:8443" or "[::1]:8443"`
    : undefined;

/** What is wrong with a host outside the mesh, if anything; a star may stand for its first label. */
export const wrongOutsideHost = (text: string): string | undefined => {
  const rest = text.startsWith("*.") ? text.slice(2) : text;
  // A star alone would be every host there is, which is what the outbound mode says.
  return rest.includes("*") ? wrongHost(text) : wrongHost(rest);
};

/** Fields that say how calls are made, and mean nothing where they are not the mesh's to make. */
const callFields = ["port", "addresses", "tls", ...resilienceFields] as const;

/** Holds the fields of the kind together; those of its resilience are checked as a `Service`'s. */
export const checkExternalService = (external: ExternalServicePolicy, check: Check): void => {
  const { hosts, addresses, resolution = "dns" } = external;
  check.texts(["hosts"], hosts, wrongOutsideHost);
  check.number(["port"], external.port, numberLimits.port);
  check.texts(["addresses"], addresses, wrongOutsideAddress);
  checkOutsideTls(["tls"], external.tls, check);
  for (const [field, names] of [["hosts", hosts] as const, ["addresses", addresses] as const]) {
    if ((names?.length ?? 0) > MAX_EXTERNAL_NAMES) {
      check.report([field], `${names?.length} are named, and ${MAX_EXTERNAL_NAMES} are the most`);
    }
  }
  if (resolution === "none") {
    for (const field of callFields) {
      if (external[field] !== undefined) {
        check.report([field], 'means nothing with resolution "none", which hands calls on untouched');
      }
    }
    return;
  }
  for (const [at, host] of hosts.entries()) {
    if (host.startsWith("*.")) {
      check.report(["hosts", at], `"${host}" cannot be resolved: a wildcard needs resolution "none"`, '"none"');
    }
  }
  if (resolution === "static" && addresses === undefined) {
    check.report(["addresses"], 'is missing: resolution "static" calls nothing else');
  }
};
