import type { X509Certificate } from "node:crypto";
import { parseSpiffeId, svidFlaw } from "@tulle/policy";

/** Who a certificate says its holder is, or why it says nobody. */
export type PeerIdentity =
  | { readonly spiffeId: string; readonly trustDomain: string }
  | { readonly spiffeId: undefined; readonly problem: string };

/**
 * Reads the SPIFFE ID of a certificate by the letter of the X.509-SVID specification: exactly one URI among the alternative
 * names. Node.js prints the names joined by ", " and quotes those that could be taken for several; none that is a SPIFFE ID
 * needs quotes, so whatever has some is refused.
 */
export const peerIdentity = (certificate: X509Certificate): PeerIdentity => {
  const names = certificate.subjectAltName;
  if (names === undefined || names === "") return nobody("it has no subject alternative name");
  if (names.includes('"')) return nobody("its subject alternative names hold characters that need quotes");
  const uris = names.split(", ").filter((name) => name.startsWith("URI:"));
  const [uri] = uris;
  if (uri === undefined) return nobody("it has no URI among its subject alternative names");
  if (uris.length > 1)
    return nobody(`it has ${uris.length} URIs among its subject alternative names, where one is allowed`);
  const spiffeId = uri.slice("URI:".length);
  const id = parseSpiffeId(spiffeId);
  if (id === undefined) return nobody(`"${spiffeId}" is no SPIFFE ID`);
  const flaw = svidFlaw(certificate.raw, spiffeId);
  return flaw === undefined ? { spiffeId, trustDomain: id.trustDomain } : nobody(`${spiffeId}: ${flaw}`);
};

const nobody = (problem: string): PeerIdentity => ({ spiffeId: undefined, problem });
