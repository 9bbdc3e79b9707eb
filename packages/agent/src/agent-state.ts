/** What a member still lacks. */
export type MissingPart = "policy" | "trust" | "certificate";

/**
 * Where a member stands with its config-server.
 *
 * | state | told in words |
 * |---|---|
 * | `new` | `start` has not been called |
 * | `joining` | no connection yet, and nothing kept from an earlier life; goes on until it succeeds |
 * | `unready` | connected, but something that calls need has not come yet |
 * | `joined` | connected, with policy, trust and a certificate |
 * | `disconnected` | the connection is gone; calls go on with what is held; the next attempt is set |
 * | `leaving` | `leave` was called |
 * | `left` | everything is closed |
 */
export type AgentState =
  | { readonly state: "new" }
  | { readonly state: "joining"; readonly lastFailure: string | undefined }
  | { readonly state: "unready"; readonly server: string; readonly missing: readonly MissingPart[] }
  | { readonly state: "joined"; readonly server: string; readonly spiffeId: string }
  | {
      readonly state: "disconnected";
      /** Milliseconds since 1970. */
      readonly sinceMs: number;
      /** Milliseconds since 1970; `undefined` while an attempt is under way. */
      readonly nextAttemptMs: number | undefined;
      readonly reason: string;
    }
  | { readonly state: "leaving" }
  | { readonly state: "left" };
