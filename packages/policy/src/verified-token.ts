/** What an end user's JWT says, once its signature, times, issuer and audience were checked. Istio's `request.auth`. */
export interface VerifiedToken {
  /** `iss`. */
  readonly issuer: string;
  /** `sub`; empty where the token has none. */
  readonly subject: string;
  /** `aud`, always as a list. */
  readonly audiences: readonly string[];
  /** `azp`: whom the token was issued to. */
  readonly presenter: string | undefined;
  /** All claims, nested ones too, as they came; but those that are divided by spaces (`scope`, `permission`) as lists. Frozen. */
  readonly claims: Readonly<Record<string, unknown>>;
}

/** `<iss>/<sub>`, by which policies name an end user; `undefined` unless both are there (Istio's `request.auth.principal`). */
export const requestPrincipalOf = ({ issuer, subject }: VerifiedToken): string | undefined =>
  issuer === "" || subject === "" ? undefined : `${issuer}/${subject}`;
