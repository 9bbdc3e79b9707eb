import type { X509Certificate } from "node:crypto";
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
  issueServerCertificate(hosts: readonly string[]): Promise<ServerCertificate>;
  /** Says whose X.509-SVID of this mesh it is, or why it is none. Checks the chain, the times, the uses and the one URI SAN. */
  verifySvid(certificate: X509Certificate): SvidVerdict;
}

/** What the config-server's own listeners present. */
export interface ServerCertificate {
  /** The leaf, then the root: a member that holds nothing but a pin finds the key it pins in the chain. */
  readonly chain: string;
  /** PKCS#8 PEM. */
  readonly privateKey: string;
  /** Milliseconds since 1970. */
  readonly notAfterMs: number;
}

/** The outcome of checking a certificate. */
export type SvidVerdict =
  | { readonly valid: true; readonly spiffeId: string }
  | { readonly valid: false; readonly reason: string };
