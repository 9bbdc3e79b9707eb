import {
  type EffectiveConnectionPool,
  type ExternalServicePolicy,
  externalPortOf,
  isPlaintext,
  type ServiceSnapshot,
  targetsOfExternal,
} from "@tulle/policy";
import type { Clock } from "@tulle/time";
import { HOST_LABEL } from "./dns/outside-endpoints.ts";
import { findOutside } from "./layers/find-outside.ts";
import type { Destination } from "./layers/pick-endpoint.ts";
import type { Ledger } from "./ledger.ts";
import type { Layer } from "./send.ts";

/** The step that finds addresses where no registry tells any; none inside the mesh. */
export const compileFindOutside = (
  { key, external }: ServiceSnapshot,
  { connectTimeoutMs }: EffectiveConnectionPool,
  ledger: Ledger,
  clock: Clock,
): Layer | undefined => {
  const endpoints = ledger.outside(key);
  if (endpoints === undefined) return undefined;
  return findOutside({
    endpoints,
    hosts: (external?.hosts ?? []).map((host) => host.toLowerCase()),
    authority: external && authorityOf(external),
    connectTimeoutMs,
    counters: ledger.counters,
    clock,
  });
};

/** What a call to a service outside the mesh is sent under, where it names none of its hosts. */
const authorityOf = (external: ExternalServicePolicy): string => {
  const [host] = external.hosts;
  const url = new URL(`${isPlaintext(external) ? "http" : "https"}://${host}`);
  url.port = String(externalPortOf(external));
  return url.host;
};

/** Where a service outside the mesh tells its hosts apart: the endpoints of each. */
export const labelsByHost = ({ external }: ServiceSnapshot): Destination["labelsByHost"] => {
  const hosts = external === undefined ? [] : targetsOfExternal(external).flatMap(({ host }) => host ?? []);
  return hosts.length === 0 ? undefined : new Map(hosts.map((host) => [host, { [HOST_LABEL]: host }]));
};
