/**
 * What a join token says. The token itself is a JWS in compact form (ES256, `typ: "tulle-join+jwt"`), signed by the
 * config-server. It travels once, as `authorization: Bearer` of the WebSocket's upgrade request.
 */
export interface JoinTokenClaims {
  readonly jti: string;
  /** Seconds since 1970. */
  readonly exp: number;
  readonly iat: number;
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly uses: "single" | "multi";
  /**
   * SHA-256 of the mesh root's SubjectPublicKeyInfo, base64url. The member checks the server's chain against it before it
   * sends the token, so that a token is never given to an impostor.
   */
  readonly pin: string;
  /** While roots are being rotated: {@link pin} and those of the roots that will follow. Any of them will do. */
  readonly pins?: readonly string[];
}
