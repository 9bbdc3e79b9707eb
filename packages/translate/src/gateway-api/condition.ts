import type { Findings } from "../finding.ts";
import { documentKey, type SourceDocument } from "../source-document.ts";

/** Why a route or a policy is, or is not, accepted; the words are the Gateway API's. */
export type AcceptedReason =
  | "Accepted"
  /** There is no such Service. */
  | "NoMatchingParent"
  /** A value of the document is not supported, or no document of its kind may hold it. */
  | "UnsupportedValue"
  /** Its filters do not go together. */
  | "IncompatibleFilters"
  /** A route of a more specific kind, or an older policy, is bound to the same. */
  | "Conflicted"
  /** None of the certificates that it names is there. */
  | "NoValidCACertificate"
  /** A value of a policy is not supported. */
  | "Invalid"
  /** There is no such Service (policies). */
  | "TargetNotFound";

/** Why references lead somewhere, or not; the words are the Gateway API's. */
export type ResolvedReason =
  | "ResolvedRefs"
  | "BackendNotFound"
  | "InvalidKind"
  | "RefNotPermitted"
  /** The port that is named does not speak what the route is for. */
  | "UnsupportedProtocol"
  | "InvalidCACertificateRef";

/** A condition of the Gateway API: what became of a document, under one of its parents. */
export type Condition = ConditionOf<"Accepted", AcceptedReason> | ConditionOf<"ResolvedRefs", ResolvedReason>;

interface ConditionOf<Type extends string, Reason extends string> {
  readonly type: Type;
  readonly status: "True" | "False";
  readonly reason: Reason;
  /** For people. */
  readonly message: string;
}

/** What became of a route under one of its parents. */
export interface ParentStatus {
  /** `Kind/namespace/name` of the document. */
  readonly document: string;
  /** The parent, or the target of a policy: `Service/shop/reviews`, with its port where the document names one: `:8080`. */
  readonly parent: string;
  readonly conditions: readonly Condition[];
}

/** Gathers what becomes of routes and policies. */
export class Statuses {
  readonly #findings: Findings;
  readonly #unresolved = new Map<SourceDocument, Condition>();
  readonly #refusals = new Map<SourceDocument, AcceptedReason>();

  constructor(findings: Findings) {
    this.#findings = findings;
  }

  /** A reference of the document leads nowhere; the first reason is told. */
  unresolved(document: SourceDocument, reason: ResolvedReason, message: string): void {
    if (!this.#unresolved.has(document)) {
      this.#unresolved.set(document, { type: "ResolvedRefs", status: "False", reason, message });
    }
  }

  /** Says why a document is refused, where that is not UnsupportedValue. */
  refusedFor(document: SourceDocument, reason: AcceptedReason): void {
    if (!this.#refusals.has(document)) this.#refusals.set(document, reason);
  }

  /**
   * What became of a document under one of its parents.
   *
   * @param acceptance what the parent says of it; a document that is refused as a whole is accepted nowhere. Read when all
   * documents are read: what else is bound to the parent is known only then.
   */
  under(document: SourceDocument, parent: string, acceptance: () => Condition): ParentStatus {
    const conditions = (): readonly Condition[] => [this.#acceptance(document, acceptance), this.#resolution(document)];
    return {
      document: documentKey(document),
      parent,
      get conditions() {
        return conditions();
      },
    };
  }

  #acceptance(document: SourceDocument, acceptance: () => Condition): Condition {
    const refusal = this.#findings.refusalOf(document);
    return refusal === undefined
      ? acceptance()
      : notAccepted(this.#refusals.get(document) ?? "UnsupportedValue", refusal);
  }

  #resolution(document: SourceDocument): Condition {
    return this.#unresolved.get(document) ?? resolved;
  }
}

const resolved: Condition = {
  type: "ResolvedRefs",
  status: "True",
  reason: "ResolvedRefs",
  message: "every reference leads to something",
};

/** The condition of a document that is taken. */
export const accepted: Condition = {
  type: "Accepted",
  status: "True",
  reason: "Accepted",
  message: "it holds for calls to the service",
};

/** The condition of a document that is not taken. */
export const notAccepted = (reason: AcceptedReason, message: string): Condition => ({
  type: "Accepted",
  status: "False",
  reason,
  message,
});
