import type { MeshErrorCode } from "@tulle/policy";

/** Why a token is not believed. The detail never repeats what the token says. */
export interface TokenFlaw {
  readonly code: Extract<
    MeshErrorCode,
    "TOKEN_INVALID" | "TOKEN_MISSING" | "TOKEN_AUDIENCE_REFUSED" | "TOKEN_KEYS_UNAVAILABLE"
  >;
  readonly detail: string;
  /** The token is of an issuer that the rule does not name: of several flaws this one tells least. */
  readonly unknownIssuer?: true;
}

/** A token that nobody would believe. */
export const invalid = (detail: string): TokenFlaw => ({ code: "TOKEN_INVALID", detail });
