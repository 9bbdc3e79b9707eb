import type { Findings } from "./finding.ts";
import type { Message } from "./message.ts";
import { apiGroup, type SourceDocument } from "./source-document.ts";

/** A kind of document that is read, with all its versions and messages. */
export interface SourceKind {
  /** Such as `networking.istio.io`; empty for Kubernetes' core. */
  readonly group: string;
  readonly kind: string;
  /** Versions of the group in which the kind was served: `v1`, `v1beta1`. */
  readonly versions: readonly string[];
  /** Every message that a document of the kind is made of, for the coverage page. */
  readonly messages: readonly Message[];
}

/** Whether a document is of a kind, whatever its version. */
export const isOfKind = (document: SourceDocument, { group, kind }: Pick<SourceKind, "group" | "kind">): boolean =>
  document.kind === kind && apiGroup(document) === group;

/** Refuses a version of a kind that was never served, for its fields may mean something else. */
export const checkVersion = (
  document: SourceDocument,
  { group, kind, versions }: SourceKind,
  findings: Findings,
): void => {
  const version = document.apiVersion.slice(group === "" ? 0 : group.length + 1);
  if (versions.includes(version)) return;
  findings.add(
    "refused",
    document,
    ["apiVersion"],
    `${kind} has no version "${version}": write ${versions.join(" or ")}`,
  );
};
