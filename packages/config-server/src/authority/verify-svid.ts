import type { X509Certificate } from "node:crypto";
import { isOfTrustDomain } from "@tulle/policy";
import type { SvidVerdict } from "./authority.ts";

const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";

/** Checks an X.509-SVID against the roots of its trust domain at one moment. */
export const verifySvid = (
  certificate: X509Certificate,
  roots: readonly X509Certificate[],
  trustDomain: string,
  nowMs: number,
): SvidVerdict => {
  const issuer = roots.find((root) => certificate.checkIssued(root) && certificate.verify(root.publicKey));
  if (issuer === undefined) return invalid("it was not issued by this mesh's CA");
  for (const each of [certificate, issuer]) {
    const what = each === certificate ? "it" : "its issuer";
    if (nowMs < each.validFromDate.getTime()) return invalid(`${what} is not valid before ${each.validFrom}`);
    if (nowMs >= each.validToDate.getTime()) return invalid(`${what} expired at ${each.validTo}`);
  }
  if (certificate.ca) return invalid("it is a CA, not a leaf");
  if (certificate.keyUsage !== undefined && !certificate.keyUsage.includes(CLIENT_AUTH)) {
    return invalid("it is not made for clients");
  }
  const names = certificate.subjectAltName?.split(", ") ?? [];
  const [uri, second] = names.filter((name) => name.startsWith("URI:"));
  if (uri === undefined) return invalid("it carries no SPIFFE ID");
  if (second !== undefined) return invalid("it carries more than one URI");
  const spiffeId = uri.slice("URI:".length);
  if (!isOfTrustDomain(spiffeId, trustDomain)) {
    return invalid(`its identity ${spiffeId} is not of the trust domain ${trustDomain}`);
  }
  return { valid: true, spiffeId };
};

const invalid = (reason: string): SvidVerdict => ({ valid: false, reason });
