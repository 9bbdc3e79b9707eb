import type { TrustBundle } from "@tulle/policy";
import type { IssuedCertificate } from "../enrollment/enrollment.ts";

/** What a certificate is to say. */
export interface SvidRequest {
  /** SPKI of the key to certify, DER. */
  readonly publicKey: Uint8Array;
  readonly spiffeId: string;
}

/** The mesh's own CA. Its key never leaves the config-server. */
export interface Authority {
  readonly trustDomain: string;
  readonly bundle: TrustBundle;
  /** SHA-256 of the root's SubjectPublicKeyInfo, base64url: what join tokens pin. */
  readonly pin: string;
  /** An X.509-SVID for a member. A leaf never outlives its issuer. */
  issueSvid(request: SvidRequest): Promise<IssuedCertificate>;
  /** A certificate and key for the config-server's own listeners. */
  issueServerCertificate(hosts: readonly string[]): Promise<{ readonly chain: string; readonly privateKey: string; readonly notAfterMs: number }>;
}
