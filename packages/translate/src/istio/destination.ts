import { type ServiceKey, splitServiceKey } from "@tulle/policy";
import { type Catalog, resolveHost } from "../catalog.ts";
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
  readonly subset: string | undefined;
  /** The port that was named; it selects what a DestinationRule says of the port. */
  readonly port: number | undefined;
  /** Whether anybody can be called: a name from outside that no document tells of cannot. */
  readonly known: boolean;
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
  const external = resolved.kind === "external" ? catalog.externals.get(resolved.host) : undefined;
  return {
    service: resolved.kind === "service" ? resolved.key : (external ?? "unknown/unknown"),
    subset: fields.text("subset") || undefined,
    port,
    known: resolved.kind === "service" || external !== undefined,
  };
};

/** A service as a policy in a namespace refers to it: short where it lives there. */
export const referenceTo = (key: ServiceKey, namespace: string): string => {
  const service = splitServiceKey(key);
  return service.namespace === namespace ? service.name : `${service.name}.${service.namespace}`;
};
