import type { RefusalCode } from "@tulle/protocol";

/**
 * How a connection to the config-server failed or ended.
 *
 * | kind | meaning |
 * |---|---|
 * | `unreachable` | no TCP or TLS connection in time, or the upgrade was not answered |
 * | `untrusted` | the server did not prove that it is our config-server; nothing was said to it |
 * | `refused` | it said why it does not serve us: `code` |
 * | `protocol` | it said something that cannot be understood: `code` |
 * | `lost` | a connection that worked is gone |
 */
export type ConnectFailureKind = "unreachable" | "untrusted" | "refused" | "protocol" | "lost";

/** See {@link ConnectFailureKind}. Not a TypeError, which p-retry would never repeat. */
export class ConnectFailure extends Error {
  override readonly name: string = "ConnectFailure";
  readonly kind: ConnectFailureKind;
  readonly code: RefusalCode | undefined;
  /** The server asked not to be called again earlier, milliseconds from now. */
  readonly retryAfterMs: number;

  constructor(
    kind: ConnectFailureKind,
    message: string,
    detail: { readonly code?: RefusalCode; readonly retryAfterMs?: number; readonly cause?: unknown } = {},
  ) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.kind = kind;
    this.code = detail.code;
    this.retryAfterMs = detail.retryAfterMs ?? 0;
  }

  /** Whether waiting will not help, only an operator: another token, another version, another name. */
  get lasting(): boolean {
    return this.kind === "untrusted" || (this.kind === "refused" && this.code !== undefined && lasting.has(this.code));
  }
}

const lasting: ReadonlySet<RefusalCode> = new Set([
  "protocol-version",
  "unauthenticated",
  "token-malformed",
  "token-signature",
  "token-expired",
  "token-used",
  "token-revoked",
  "token-audience",
  "identity-mismatch",
  "not-allowed",
  "revoked",
  "replaced",
]);
