import type { X509Certificate } from "node:crypto";
import { isOfTrustDomain, svidFlaw } from "@tulle/policy";
import type { SvidVerdict } from "./authority.ts";

const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";

/** What certificates of this mesh are checked against. */
export interface KnownIssuers {
  readonly roots: readonly { readonly id: string; readonly certificate: X509Certificate }[];
  /** CAs below the roots, for TLS does not always show the chain that a client sent. */
  readonly intermediates: readonly X509Certificate[];
}

/** The longest way from a leaf to its root. */
const LONGEST_CHAIN = 5;

/** Checks an X.509-SVID against the roots of its trust domain at one moment. */
export const verifySvid = (
  certificate: X509Certificate,
  known: KnownIssuers,
  trustDomain: string,
  nowMs: number,
): SvidVerdict => {
  const found = chainToRoot(certificate, known);
  if (found === undefined) return invalid("it was not issued by this mesh's CA");
  for (const each of found.chain) {
    const what = each === certificate ? "it" : "its issuer";
    if (nowMs < each.validFromDate.getTime()) return invalid(`${what} is not valid before ${each.validFrom}`);
    if (nowMs >= each.validToDate.getTime()) return invalid(`${what} expired at ${each.validTo}`);
  }
  if (certificate.keyUsage !== undefined && !certificate.keyUsage.includes(CLIENT_AUTH)) {
    return invalid("it is not made for clients");
  }
  const names = certificate.subjectAltName?.split(", ") ?? [];
  const [uri, second] = names.filter((name) => name.startsWith("URI:"));
  if (uri === undefined) return invalid("it carries no SPIFFE ID");
  if (second !== undefined) return invalid("it carries more than one URI");
  const spiffeId = uri.slice("URI:".length);
  const flaw = svidFlaw(certificate.raw, spiffeId);
  if (flaw !== undefined) return invalid(flaw);
  if (!isOfTrustDomain(spiffeId, trustDomain)) {
    return invalid(`its identity ${spiffeId} is not of the trust domain ${trustDomain}`);
  }
  return {
    valid: true,
    spiffeId,
    serial: certificate.serialNumber,
    notAfterMs: Math.min(...found.chain.map((each) => each.validToDate.getTime())),
    root: found.root,
  };
};

const chainToRoot = (
  leaf: X509Certificate,
  { roots, intermediates }: KnownIssuers,
): { readonly chain: readonly X509Certificate[]; readonly root: string } | undefined => {
  const chain = [leaf];
  for (let child = leaf; chain.length < LONGEST_CHAIN; ) {
    const root = roots.find(({ certificate }) => isIssuedBy(child, certificate));
    if (root !== undefined) return { chain: [...chain, root.certificate], root: root.id };
    const issuer = intermediates.find((each) => each.ca && isIssuedBy(child, each));
    if (issuer === undefined) return undefined;
    chain.push(issuer);
    child = issuer;
  }
  return undefined;
};

const isIssuedBy = (child: X509Certificate, issuer: X509Certificate): boolean =>
  child.checkIssued(issuer) && child.verify(issuer.publicKey);

const invalid = (reason: string): SvidVerdict => ({ valid: false, reason });
