import { type MeshErrorCode, meshErrorCodes } from "./mesh-error-code.ts";

/** The brand by which copies of this package know each other's errors. */
const brand = Symbol.for("tulle.MeshError");

/** What became of one attempt, for errors and explanations. */
export interface AttemptSummary {
  /** From 1. */
  readonly number: number;
  readonly endpoint: string | undefined;
  /** How far it got. Only `not-sent` and `refused` prove that no handler saw it. */
  readonly progress: "not-sent" | "refused" | "sent" | "answered";
  /** Status of the reply, where there was one. */
  readonly status?: number;
  /** A mesh code or the transport's own code, such as `ECONNREFUSED`. */
  readonly code?: string;
  readonly durationMs: number;
}

/** What a {@link MeshError} is made of. */
export interface MeshErrorDetail {
  /** One sentence: what happened, with names. */
  readonly message: string;
  /** The way the call took until it failed, outermost first: `["http://reviews/7", "route reviews", "subset v1"]`. */
  readonly path?: readonly string[];
  readonly attempts?: readonly AttemptSummary[];
  /** Names of hosts that were perhaps meant, and the like. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/**
 * A failure made by the mesh itself. A `TypeError`, as the fetch standard wants of network errors. Recognise it with
 * {@link isMeshError}, which also knows errors of another copy of the package.
 */
export class MeshError extends TypeError {
  override readonly name: string = "MeshError";
  /** Stable; see docs/errors.md. */
  readonly code: MeshErrorCode;
  /** Envoy's response flag, or ours where Envoy has none. */
  readonly flag: string;
  /** The status that a proxy would have answered. */
  readonly status: number;
  readonly path: readonly string[];
  readonly attempts: readonly AttemptSummary[];
  /** Where the code is explained: a heading of the errors page that ships with the package. */
  readonly docs: string;

  constructor(code: MeshErrorCode, detail: MeshErrorDetail) {
    const path = detail.path ?? [];
    const way = path.length > 0 ? ` (${path.join(" > ")})` : "";
    const hint = detail.hint === undefined ? "" : `; ${detail.hint}`;
    super(`${code}: ${detail.message}${hint}${way}`, detail.cause === undefined ? undefined : { cause: detail.cause });
    Object.defineProperty(this, brand, { value: true });
    this.code = code;
    this.flag = meshErrorCodes[code].flag;
    this.status = meshErrorCodes[code].status;
    this.path = path;
    this.attempts = detail.attempts ?? [];
    this.docs = `docs/errors.md#${code.toLowerCase().replaceAll("_", "-")}`;
  }
}

/** Whether something caught is a failure made by the mesh, and, when `code` is given, that one. */
export const isMeshError = (error: unknown, code?: MeshErrorCode): error is MeshError =>
  typeof error === "object" &&
  error !== null &&
  // The brand is looked up on an object of unknown shape; a foreign copy's class would fail `instanceof`.
  (error as Record<symbol, unknown>)[brand] === true &&
  (code === undefined || (error as MeshError).code === code);
