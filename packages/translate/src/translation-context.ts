import type { MeshPolicy, ServiceKey, ServicePolicy } from "@tulle/policy";
import type { Catalog } from "./catalog.ts";
import type { Findings } from "./finding.ts";
import type { ParentStatus } from "./gateway-api/condition.ts";
import type { SourceDocument } from "./source-document.ts";
import { isOfKind, type SourceKind } from "./source-kind.ts";

/** What all translators of one translation share. */
export interface TranslationContext {
  readonly documents: readonly SourceDocument[];
  /** What the documents say of services and names. */
  readonly catalog: Catalog;
  readonly findings: Findings;
  /** Istio's root namespace, whose policies hold for the whole mesh. */
  readonly rootNamespace: string;
  /** Services that are known besides those of the documents; `undefined` where nobody was asked. */
  readonly services: ReadonlySet<ServiceKey> | undefined;
  /** Service policies that hold already: a document that tells of a part of a service leaves the rest as it is. */
  readonly existing: ReadonlyMap<ServiceKey, ServicePolicy>;
  /** The Mesh policy that holds already: what documents do not tell of the mesh stays as it is. */
  readonly existingMesh: MeshPolicy | undefined;
  /** What becomes of routes of the Gateway API under their parents. */
  readonly statuses: ParentStatus[];
}

/** The documents of a kind, in their order. */
export const documentsOf = (context: TranslationContext, kind: SourceKind): readonly SourceDocument[] =>
  context.documents.filter((document) => isOfKind(document, kind));

/** Oldest first, then by name and namespace: where two documents want the same, Istio lets the first of this order win. */
export const byAge = (a: SourceDocument, b: SourceDocument): number => {
  const age = (a.createdAtMs ?? 0) - (b.createdAtMs ?? 0);
  if (age !== 0) return age;
  const [left, right] = [`${a.name}.${a.namespace}`, `${b.name}.${b.namespace}`];
  return left < right ? -1 : left > right ? 1 : 0;
};
