import type { SourceDocument } from "../source-document.ts";

/** A condition of the Gateway API: what became of a document, under one of its parents. */
export interface Condition {
  readonly type: "Accepted" | "ResolvedRefs" | "PartiallyInvalid";
  readonly status: "True" | "False";
  /** One of the reasons that the Gateway API defines: `Accepted`, `BackendNotFound`, `RefNotPermitted`. */
  readonly reason: string;
  /** For people. */
  readonly message: string;
}

/** What became of a route under one of its parents. */
export interface ParentStatus {
  /** `Kind/namespace/name` of the document. */
  readonly document: string;
  /** The parent as the document names it: `Service/shop/reviews`. */
  readonly parent: string;
  readonly conditions: readonly Condition[];
}

/** Gathers what becomes of routes. */
export class Statuses {
  readonly #unresolved = new Map<SourceDocument, Condition>();
  readonly #partial = new Map<SourceDocument, Condition>();

  /** A reference of the document leads nowhere; the first reason is told. */
  unresolved(document: SourceDocument, reason: string, message: string): void {
    if (!this.#unresolved.has(document)) {
      this.#unresolved.set(document, { type: "ResolvedRefs", status: "False", reason, message });
    }
  }

  /** Some rules of the document are left out, and the others hold. */
  partial(document: SourceDocument, message: string): void {
    if (!this.#partial.has(document)) {
      this.#partial.set(document, { type: "PartiallyInvalid", status: "True", reason: "UnsupportedValue", message });
    }
  }

  /** The conditions of a document, given whether it is accepted under a parent. */
  of(document: SourceDocument, accepted: Condition): readonly Condition[] {
    const partial = this.#partial.get(document);
    return [
      accepted,
      this.#unresolved.get(document) ?? {
        type: "ResolvedRefs",
        status: "True",
        reason: "ResolvedRefs",
        message: "every reference leads to something",
      },
      ...(partial === undefined ? [] : [partial]),
    ];
  }
}

/** The condition of a document that is taken. */
export const accepted: Condition = {
  type: "Accepted",
  status: "True",
  reason: "Accepted",
  message: "its rules hold for calls to the service",
};

/** The condition of a document that is not taken. */
export const notAccepted = (reason: string, message: string): Condition => ({
  type: "Accepted",
  status: "False",
  reason,
  message,
});
