import { type ServiceKey, serviceKey } from "@tulle/policy";
import type { ResourceName } from "./resource.ts";
import type { Leaf } from "./slices.ts";

/** What a name of a resource says. */
export type ResourceReference =
  | { readonly kind: "mesh" }
  | { readonly kind: "names" | "external-names" | "revocations"; readonly leaf: Leaf }
  | { readonly kind: "service" | "external" | "inbound"; readonly service: ServiceKey }
  | { readonly kind: "endpoints"; readonly service: ServiceKey; readonly leaf: Leaf }
  | { readonly kind: "bundle"; readonly trustDomain: string };

/** Prints a name. */
export const formatResourceName = (reference: ResourceReference): ResourceName => {
  switch (reference.kind) {
    case "mesh":
      return "mesh";
    case "names":
    case "external-names":
    case "revocations":
      return `${reference.kind}/${reference.leaf}`;
    case "service":
    case "external":
    case "inbound":
      return `${reference.kind}/${reference.service}`;
    case "endpoints":
      return `endpoints/${reference.service}/${reference.leaf}`;
    case "bundle":
      return `bundle/${reference.trustDomain}`;
  }
};

/** Reads a name; `undefined` for one that this version does not know, which a member keeps and does not use. */
export const parseResourceName = (name: ResourceName): ResourceReference | undefined => {
  const [kind, first, second, third, ...more] = name.split("/");
  if (more.length > 0) return undefined;
  const depth = [first, second, third].filter((part) => part !== undefined && part !== "").length;
  if (kind === "mesh" && depth === 0) return { kind };
  if (first === undefined) return undefined;
  if ((kind === "names" || kind === "external-names" || kind === "revocations") && depth === 1)
    return { kind, leaf: first };
  if (kind === "bundle" && depth === 1) return { kind, trustDomain: first };
  if (second === undefined) return undefined;
  const service = serviceKey(first, second);
  if ((kind === "service" || kind === "external" || kind === "inbound") && depth === 2) return { kind, service };
  if (kind === "endpoints" && depth === 3 && third !== undefined) return { kind, service, leaf: third };
  return undefined;
};
