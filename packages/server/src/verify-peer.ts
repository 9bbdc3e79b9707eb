import { X509Certificate } from "node:crypto";
import {
  isRevoked,
  type MeshErrorCode,
  parseSpiffeId,
  type Revocations,
  svidFlaw,
  type TrustBundle,
} from "@tulle/policy";

/** The roots of each trust domain, parsed once per change of trust. */
export interface TrustedRoots {
  readonly byDomain: ReadonlyMap<string, readonly X509Certificate[]>;
  /** CAs below the roots of each domain, for chains that TLS does not show. */
  readonly intermediates: ReadonlyMap<string, readonly X509Certificate[]>;
  /** All names of the own trust domain, if it has aliases. */
  readonly ownNames: readonly string[];
  /** How many bundles OpenSSL was given, also those that speak for nobody here. */
  readonly bundles: number;
}

/**
 * Parses the bundles. All names of the own trust domain have its roots, whatever else was brought under one of its aliases:
 * nobody but ourselves may speak for us.
 *
 * @param ownNames of the own trust domain, the present one first, then its aliases.
 * @param rootsUnder the name under which the own roots are brought: the present one, else that of the member's own certificate.
 * @throws Error when a root is no certificate.
 */
export const parseRoots = (
  bundles: readonly TrustBundle[],
  ownNames: readonly string[] = [],
  rootsUnder: readonly string[] = ownNames.slice(0, 1),
): TrustedRoots => {
  const parsed = new Map(
    bundles.map(({ trustDomain, roots }) => [trustDomain, roots.map((pem) => new X509Certificate(pem))] as const),
  );
  const intermediates = new Map(
    bundles.map(({ trustDomain, intermediates: below = [] }) => [
      trustDomain,
      below.map((pem) => new X509Certificate(pem)),
    ]),
  );
  const own = rootsUnder.find((name) => parsed.has(name));
  for (const byDomain of [parsed, intermediates]) {
    const ours = own === undefined ? undefined : byDomain.get(own);
    for (const name of ownNames) {
      if (ours === undefined) byDomain.delete(name);
      else byDomain.set(name, ours);
    }
  }
  return { byDomain: parsed, intermediates, ownNames, bundles: bundles.length };
};

/** What a client's certificate proved, or why it proved nothing. */
export type PeerVerdict =
  | { readonly ok: true; readonly spiffeId: string; readonly notAfterMs: number }
  | {
      readonly ok: false;
      readonly code: Extract<MeshErrorCode, "PEER_UNTRUSTED" | "PEER_EXPIRED" | "PEER_REVOKED" | "PEER_ABSENT">;
      readonly detail: string;
    };

/** What the handshake left. */
export interface PresentedPeer {
  /** The leaf; its `issuerCertificate` leads to the intermediates that came with it. */
  readonly leaf: X509Certificate | undefined;
  /**
   * OpenSSL's verdict over all roots together: `true`, the code of its no, or `undefined` when it was not asked with the
   * present roots. It covers what is not checked again here: purpose, path length, constraints.
   */
  readonly authorized: true | string | undefined;
}

/** Longer chains are refused; a leaf under an intermediate or two is what exists. */
const LONGEST_CHAIN = 5;

/** Words of OpenSSL for a certificate outside its time. */
const timeErrors: ReadonlySet<unknown> = new Set(["CERT_HAS_EXPIRED", "CERT_NOT_YET_VALID"]);

/**
 * Verifies who a peer is: exactly one URI in the certificate, a SPIFFE ID, and a chain to a root of that ID's own trust
 * domain. OpenSSL was given the roots of all domains together, so its yes alone would let one domain speak for another.
 *
 * @param nowMs wall-clock milliseconds.
 */
export const verifyPeer = (
  presented: PresentedPeer,
  roots: TrustedRoots,
  nowMs: number,
  revoked?: Revocations,
): PeerVerdict => {
  const { leaf, authorized } = presented;
  if (leaf === undefined) return { ok: false, code: "PEER_ABSENT", detail: "the caller showed no certificate" };
  const spiffeId = spiffeIdOf(leaf);
  if (spiffeId === undefined) {
    return untrusted(`the certificate names no SPIFFE ID, or more than one (${leaf.subjectAltName ?? "no names"})`);
  }
  const flaw = svidFlaw(leaf.raw, spiffeId);
  if (flaw !== undefined) return untrusted(`the certificate of ${spiffeId} is no workload's: ${flaw}`);
  const trustDomain = parseSpiffeId(spiffeId)?.trustDomain ?? "";
  const own = roots.byDomain.get(trustDomain);
  if (own === undefined)
    return untrusted(`${spiffeId} is of the trust domain ${trustDomain}, whose roots are not known`);
  const chain = chainToRoot(leaf, own, roots.intermediates.get(trustDomain) ?? []) ?? hiddenChain(presented, roots);
  if (chain === undefined) return untrusted(`the chain of ${spiffeId} ends at no root of ${trustDomain}`);
  const outside = chain.find((each) => nowMs < each.validFromDate.getTime() || nowMs >= each.validToDate.getTime());
  if (outside !== undefined || timeErrors.has(authorized)) {
    const { validFrom, validTo } = outside ?? leaf;
    return {
      ok: false,
      code: "PEER_EXPIRED",
      detail: `the chain of ${spiffeId} holds a certificate valid from ${validFrom} to ${validTo}`,
    };
  }
  if (typeof authorized === "string") return untrusted(`the chain of ${spiffeId} is refused: ${authorized}`);
  if (isRevoked(revoked, { serial: leaf.serialNumber, spiffeId }, roots.ownNames)) {
    const detail = `${spiffeId}, or its certificate ${leaf.serialNumber}, was revoked`;
    return { ok: false, code: "PEER_REVOKED", detail };
  }
  return { ok: true, spiffeId, notAfterMs: Math.min(...chain.map((each) => each.validToDate.getTime())) };
};

const untrusted = (detail: string): PeerVerdict => ({ ok: false, code: "PEER_UNTRUSTED", detail });

/**
 * The one SPIFFE ID of a certificate (X509-SVID, section 2). Node prints the names as a list and quotes whatever could be
 * mistaken for two of them; an SVID needs no quotes, so a certificate that does is refused.
 */
const spiffeIdOf = (leaf: X509Certificate): string | undefined => {
  const names = leaf.subjectAltName;
  if (names === undefined || names.includes('"')) return undefined;
  const uris = names.split(", ").filter((name) => name.startsWith("URI:"));
  const uri = uris[0]?.slice("URI:".length);
  return uris.length === 1 && uri !== undefined && parseSpiffeId(uri) !== undefined ? uri : undefined;
};

/** The chain from the leaf up to and with one of the roots, or `undefined` when there is none. */
const chainToRoot = (
  leaf: X509Certificate,
  roots: readonly X509Certificate[],
  intermediates: readonly X509Certificate[],
): readonly X509Certificate[] | undefined => {
  const chain: X509Certificate[] = [];
  let current: X509Certificate | undefined = leaf;
  while (current !== undefined && chain.length < LONGEST_CHAIN) {
    const child: X509Certificate = current;
    chain.push(child);
    const root = roots.find((each) => each.ca && isIssuedBy(child, each));
    if (root !== undefined) return [...chain, root];
    const shown: X509Certificate | undefined = child.issuerCertificate;
    current = [...(shown === undefined ? [] : [shown]), ...intermediates].find(
      (each) => each.ca && isIssuedBy(child, each),
    );
  }
  return undefined;
};

/**
 * Some releases of Node (24.21, 26.8 and later; nodejs/node#65579) do not show a server the intermediates that came with
 * a leaf. What the bundle does not know either is left
 * to OpenSSL: where the roots of one domain alone are trusted, OpenSSL's yes means just them; where there are more, nobody
 * could tell whose chain it was, and the peer stays refused.
 */
const hiddenChain = (
  { leaf, authorized }: PresentedPeer,
  roots: TrustedRoots,
): readonly X509Certificate[] | undefined =>
  leaf !== undefined && leaf.issuerCertificate === undefined && authorized === true && roots.bundles === 1
    ? [leaf]
    : undefined;

const isIssuedBy = (child: X509Certificate, issuer: X509Certificate): boolean =>
  child.checkIssued(issuer) && child.verify(issuer.publicKey);
