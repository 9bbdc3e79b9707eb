import { type ServiceKey, splitServiceKey } from "@tulle/policy";
import { type Catalog, type CatalogExternal, resolveHost } from "../catalog.ts";
import type { FieldsOf } from "../fields.ts";
import { type Message, message, to } from "../message.ts";

/** Istio's PortSelector. */
export const portSelectorMessage: Message<"number"> = message("PortSelector", {
  number: to("the port that the traffic policy is for"),
});

/** Istio's Destination. */
export const destinationMessage: Message<"host" | "subset" | "port"> = message("Destination", {
  host: to("split[].service"),
  subset: to("split[].subset"),
  port: to("split[].port"),
});

/** Where a destination leads. */
export interface Destination {
  readonly service: ServiceKey;
  /** A host outside with several ports of HTTP, of which none is named: that of the call is meant. */
  readonly anyPortOf: string | undefined;
  readonly subset: string | undefined;
  /** The port that was named; it selects what a DestinationRule says of the port. */
  readonly port: number | undefined;
  /** Why nobody can be called: a name from outside, or a subset, that no document tells of; `undefined` where somebody can. */
  readonly unknown: string | undefined;
}

/** Reads a destination. Refuses one without host, and a port without number. */
export const readDestination = (
  fields: FieldsOf<typeof destinationMessage>,
  catalog: Catalog,
  namespace: string,
): Destination | undefined => {
  const host = fields.text("host");
  if (host === undefined || host === "") {
    if (!fields.has("host") || host === "") fields.refuse("host", "a destination needs a host");
    return undefined;
  }
  const resolved = resolveHost(host, namespace);
  if (resolved.kind === "wildcard") {
    fields.refuse("host", `"${host}" has a wildcard: a destination is one service`);
    return undefined;
  }
  const portFields = fields.message("port", portSelectorMessage);
  const port = portFields?.integer("number");
  if (portFields !== undefined && (port === undefined || port < 1 || port > 65_535)) {
    fields.refuse("port", "a port is a number from 1 to 65535", "number");
  }
  const external = wayTo(host, port, catalog);
  const service = external?.key ?? (resolved.kind === "service" ? resolved.key : undefined);
  // Endpoints outside the mesh have no labels; their DestinationRule tells of it.
  const subset = isOutside(service, catalog) ? undefined : fields.text("subset") || undefined;
  const subsets = subset === undefined || service === undefined ? undefined : catalog.subsetsOf(service);
  return {
    service: service ?? "unknown/unknown",
    anyPortOf: port === undefined && httpWays(host, catalog).length > 1 ? hostOf(host) : undefined,
    subset,
    port,
    unknown:
      service === undefined
        ? `no Service or ServiceEntry tells of "${host}"`
        : subset !== undefined && subsets?.has(subset) === false
          ? `no DestinationRule tells of a subset "${subset}" of "${host}"`
          : undefined,
  };
};

/** The service that a host from outside means on a port; where none is named, where HTTP is spoken. */
const wayTo = (host: string, port: number | undefined, { externals }: Catalog): CatalogExternal | undefined => {
  const ways = externals.get(hostOf(host)) ?? [];
  return ways.find((way) => way.port === port) ?? ways.find(({ isHttp }) => isHttp) ?? ways[0];
};

const hostOf = (host: string): string => host.toLowerCase().replace(/\.$/, "");

const httpWays = (host: string, { externals }: Catalog): readonly CatalogExternal[] =>
  (externals.get(hostOf(host)) ?? []).filter(({ isHttp }) => isHttp);

const isOutside = (key: ServiceKey | undefined, { entries }: Catalog): boolean =>
  key !== undefined && entries.some((entry) => entry.key === key);

/** A service as a policy in a namespace refers to it: short where it lives there. */
export const referenceTo = (key: ServiceKey, namespace: string): string => {
  const service = splitServiceKey(key);
  return service.namespace === namespace ? service.name : `${service.name}.${service.namespace}`;
};
