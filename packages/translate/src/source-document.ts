import type { PolicyPath } from "@tulle/policy";
import type { Place } from "@tulle/policy/yaml-values";

/** One document of another origin, as it stands in a file. */
export interface SourceDocument {
  /** Such as `networking.istio.io/v1`. */
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  /** `metadata.namespace`, or the namespace that was given for documents without one. */
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Milliseconds since 1970, where the document says it; Istio lets the older one of two win. */
  readonly createdAtMs: number | undefined;
  /** The whole document. */
  readonly value: Readonly<Record<string, unknown>>;
  /** Where it begins. */
  readonly place: Place;
  /** Where a field of it begins. */
  placeOf(path: PolicyPath): Place;
}

/** `Kind/namespace/name`, as findings and origins name a document. */
export const documentKey = ({ kind, namespace, name }: SourceDocument): string => `${kind}/${namespace}/${name}`;

/** The part of an API version before the slash; empty for Kubernetes' core. */
export const apiGroup = ({ apiVersion }: Pick<SourceDocument, "apiVersion">): string => {
  const slash = apiVersion.indexOf("/");
  return slash < 0 ? "" : apiVersion.slice(0, slash);
};
