import { readFileSync } from "node:fs";
import { DEFAULT_TRUST_DOMAIN } from "@tulle/policy";
import type { JoinTokenClaims } from "@tulle/protocol";
import { ConnectFailure } from "./connect-failure.ts";

/** With what a member without a certificate joins, as it was given. */
export interface JoinCredentials {
  readonly token?: string;
  readonly tokenFile?: string;
  readonly caFile?: string;
  readonly caPin?: string;
  readonly trustDomain?: string;
}

/** A token and by what the server must prove itself before it is shown. Only the config-server can verify its signature. */
export interface JoinToken {
  readonly text: string;
  readonly trustDomain: string;
  readonly anchor: TrustAnchor;
}

/** Whom a member believes that holds no certificate yet. */
export type TrustAnchor =
  /** SHA-256 of roots' SubjectPublicKeyInfo, base64url: while roots are rotated, of those that follow one another. */
  | { readonly by: "pin"; readonly pins: readonly string[] }
  /** Roots, PEM. */
  | { readonly by: "roots"; readonly roots: readonly string[] };

/**
 * Reads the token, from its file anew each time where one is named, so that a new token heals a member without a restart.
 * A join token carries its pin; any other (a Kubernetes service-account token, say) needs `caFile` or `caPin` beside it, and
 * is shown to nobody without: an impostor could use it elsewhere.
 *
 * @returns `undefined` when the member was given none.
 * @throws ConnectFailure `token-malformed` for a file that cannot be read, and for what is no token; `unauthenticated` for a
 * token that carries no pin where neither `caFile` nor `caPin` is given.
 */
export const readJoinToken = (given: JoinCredentials): JoinToken | undefined => {
  const text = given.token ?? (given.tokenFile === undefined ? undefined : readText("token", given.tokenFile).trim());
  if (text === undefined) return undefined;
  const claims = readClaims(text);
  if (claims === undefined) {
    throw malformed("the token is no signed token; make one with: tulle token create");
  }
  if (typeof claims.pin === "string" && typeof claims.trustDomain === "string") {
    const later = Array.isArray(claims.pins) ? claims.pins.filter((pin: unknown) => typeof pin === "string") : [];
    const pins = [...new Set([claims.pin, ...later])];
    return { text, trustDomain: claims.trustDomain, anchor: { by: "pin", pins } };
  }
  return { text, trustDomain: given.trustDomain ?? DEFAULT_TRUST_DOMAIN, anchor: givenAnchor(given) };
};

const givenAnchor = ({ caFile, caPin }: JoinCredentials): TrustAnchor => {
  if (caPin !== undefined) return { by: "pin", pins: [caPin] };
  if (caFile === undefined) {
    throw new ConnectFailure(
      "refused",
      "the token carries no pin of the mesh's CA, so it is shown to nobody: make a join token with `tulle token create`, " +
        "or give the CA with an OIDC token, as a file (TULLE_CA_FILE) or as its pin (TULLE_CA_PIN)",
      { code: "unauthenticated" },
    );
  }
  const roots = readText("CA", caFile).match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (roots.length === 0) throw malformed(`the CA file ${caFile} holds no certificate`);
  return { by: "roots", roots: roots.map((root) => `${root}\n`) };
};

const readText = (what: string, path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw malformed(`the ${what} file ${path} cannot be read`, error);
  }
};

const readClaims = (text: string): Partial<JoinTokenClaims> | undefined => {
  const [, payload, signature] = text.split(".");
  if (payload === undefined || signature === undefined) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
    // Each claim that is used is checked for its type by the caller.
    return typeof claims === "object" && claims !== null ? (claims as Partial<JoinTokenClaims>) : undefined;
  } catch {
    return undefined;
  }
};

const malformed = (message: string, cause?: unknown): ConnectFailure =>
  new ConnectFailure("refused", message, { code: "token-malformed", cause });
