import { formatPath, type PolicyOrigin, type PolicyPath } from "@tulle/policy";
import { documentKey, type SourceDocument } from "./source-document.ts";

/**
 * What became of a field that was not translated as it stands:
 *
 * - `refused`: nothing of the document is taken, for its meaning would be another one;
 * - `no-meaning`: it has no meaning without a proxy, and the rest is taken;
 * - `warning`: it was taken, but its author may have meant something else;
 * - `ignored`: the whole document says nothing about policy.
 */
export type FindingLevel = "refused" | "no-meaning" | "warning" | "ignored";

/** One thing that people should know of a translation. */
export interface Finding {
  readonly level: FindingLevel;
  /** `Kind/namespace/name` of the document. */
  readonly document: string;
  /** Way to the field: `spec.http[0].route[1].weight`; empty for the document as a whole. */
  readonly path: string;
  /** The reason, and what to do where something can be done. */
  readonly message: string;
  readonly origin: PolicyOrigin;
  /** From 1. */
  readonly column: number;
}

/** Gathers what is found while documents are translated. */
export class Findings {
  readonly #all: Finding[] = [];
  readonly #refused = new Map<SourceDocument, string>();
  readonly #strict: boolean;

  /** @param strict what has no meaning without a proxy is refused. */
  constructor(strict = false) {
    this.#strict = strict;
  }

  get all(): readonly Finding[] {
    return this.#all;
  }

  /** Whether something in the document was refused, so that none of it may be taken. */
  refuses(document: SourceDocument): boolean {
    return this.#refused.has(document);
  }

  /** Why the document was refused, the first reason; `undefined` where it was not. */
  refusalOf(document: SourceDocument): string | undefined {
    return this.#refused.get(document);
  }

  add(found: FindingLevel, document: SourceDocument, path: PolicyPath, message: string): void {
    const level = this.#strict && found === "no-meaning" ? "refused" : found;
    if (level === "refused" && !this.#refused.has(document)) {
      const where = formatPath(path);
      this.#refused.set(document, where === "" ? message : `${where}: ${message}`);
    }
    this.#all.push({
      level,
      document: documentKey(document),
      path: formatPath(path),
      message,
      ...document.placeOf(path),
    });
  }
}
