import type { Credentials } from "@tulle/policy";
import { type Dialling, learnPinnedRoot, type PeerTrust } from "./config-server-peer.ts";
import { ConnectFailure } from "./connect-failure.ts";
import { trustDomainOf } from "./credentials.ts";
import { type JoinCredentials, type JoinToken, readJoinToken } from "./join-token.ts";
import type { ServerAddress } from "./server-address.ts";

/** Whom to believe, and how to prove who we are. */
export interface Authentication {
  readonly trust: PeerTrust;
  /** Sent in the upgrade, after the server has proven itself. */
  readonly token: string | undefined;
}

/** By the certificate: mTLS, trusting the roots of our own trust domain. */
export const byCertificate = (credentials: Credentials): Authentication => {
  const trustDomain = trustDomainOf(credentials.spiffeId);
  const roots = credentials.bundles.find((bundle) => bundle.trustDomain === trustDomain)?.roots ?? [];
  return { trust: { trustDomain, roots, identity: credentials }, token: undefined };
};

/**
 * By a token: trusting the root that it pins and the server shows, or the CA that was given with it.
 *
 * @throws ConnectFailure when there is no token, nothing to know the server by, or the server shows no such root.
 */
export const byToken = async (
  given: JoinCredentials,
  address: ServerAddress,
  dialling: Dialling,
): Promise<Authentication> => {
  const token: JoinToken | undefined = readJoinToken(given);
  if (token === undefined) {
    throw new ConnectFailure(
      "refused",
      "this member has neither a valid certificate nor a join token: give it a token",
      {
        code: "unauthenticated",
      },
    );
  }
  const { anchor, trustDomain } = token;
  const roots = anchor.by === "roots" ? anchor.roots : [await learnPinnedRoot(address, anchor.pins, dialling)];
  return { trust: { trustDomain, roots }, token: token.text };
};
