import { readFileSync } from "node:fs";
import type { JoinTokenClaims } from "@tulle/protocol";
import { ConnectFailure } from "./connect-failure.ts";

/** A join token and what the member itself needs of its claims. Only the config-server can verify its signature. */
export interface JoinToken {
  readonly text: string;
  readonly trustDomain: string;
  /** SHA-256 of the root's SubjectPublicKeyInfo, base64url. */
  readonly pin: string;
}

/**
 * Reads the token, from its file anew each time where one is named, so that a new token heals a member without a restart.
 *
 * @returns `undefined` when the member was given none.
 * @throws ConnectFailure `token-malformed` for a file that cannot be read, and for what is no join token.
 */
export const readJoinToken = (given: {
  readonly token?: string;
  readonly tokenFile?: string;
}): JoinToken | undefined => {
  const text = given.token ?? (given.tokenFile === undefined ? undefined : readTokenFile(given.tokenFile));
  if (text === undefined) return undefined;
  const claims = readClaims(text);
  if (typeof claims?.pin !== "string" || typeof claims.trustDomain !== "string") {
    throw malformed(
      "the join token is no signed token with a pin and a trust domain; make one with: tulle token create",
    );
  }
  return { text, trustDomain: claims.trustDomain, pin: claims.pin };
};

const readTokenFile = (path: string): string => {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    throw malformed(`the token file ${path} cannot be read`, error);
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
