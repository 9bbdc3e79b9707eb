/** In a welcome: the config-server takes `plaintext-callers`. */
export const PLAINTEXT_CALLERS_FEATURE = "plaintext-callers";

/** Callers that one report names at most, the most recent ones. */
export const MAX_PLAINTEXT_CALLERS = 64;

/** A caller that came in to a member without an identity. */
export interface ReportedCaller {
  /** IP address. */
  readonly address: string;
  /** As it calls itself; nobody vouches for it. */
  readonly userAgent?: string;
  /** `tls`: encrypted, but without a certificate. */
  readonly transport: "plaintext" | "tls";
  readonly requests: number;
  /** Milliseconds before the report was sent, so that the clocks of both sides need not agree. */
  readonly lastSeenAgoMs: number;
}
