import { X509Certificate } from "node:crypto";
import { MeshError, parseSpiffeId } from "@tulle/policy";

/** What a certificate says that a mesh needs to know. */
export interface CertificateFacts {
  readonly spiffeId: string;
  /** Milliseconds since 1970. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/**
 * Reads the first certificate of a chain.
 *
 * @throws MeshError INVALID_CALL when it is no certificate, or has not exactly one URI SAN that is a SPIFFE ID.
 */
export const readCertificate = (chain: string): CertificateFacts => {
  const certificate = parse(chain);
  const uris = (certificate.subjectAltName ?? "")
    .split(", ")
    .filter((name) => name.startsWith("URI:"))
    .map((name) => name.slice("URI:".length));
  const [spiffeId] = uris;
  if (uris.length !== 1 || spiffeId === undefined || parseSpiffeId(spiffeId) === undefined) {
    throw new MeshError("INVALID_CALL", {
      message: `the certificate's subject alternative names are "${certificate.subjectAltName ?? ""}"`,
      hint: "an X.509-SVID has exactly one URI, a SPIFFE ID such as spiffe://cluster.local/ns/default/sa/reviews",
    });
  }
  return {
    spiffeId,
    notBeforeMs: certificate.validFromDate.getTime(),
    notAfterMs: certificate.validToDate.getTime(),
  };
};

const parse = (chain: string): X509Certificate => {
  try {
    return new X509Certificate(chain);
  } catch (cause) {
    throw new MeshError("INVALID_CALL", {
      message: "credentials.certificateChain does not begin with a certificate in PEM",
      cause,
    });
  }
};
