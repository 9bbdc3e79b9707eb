import type { X509Certificate } from "node:crypto";
import type { RefusalCode } from "@tulle/protocol";

/** Who a member proved to be. */
export interface MemberIdentity {
  readonly spiffeId: string;
  readonly trustDomain: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly by: "token" | "oidc" | "certificate";
  /** The token's id, to be claimed when a certificate is issued for it. */
  readonly tokenId?: string;
  /** What another issuer's token said; for the audit log. */
  readonly proof?: IssuerProof;
  /** What it showed, where it joined by certificate. */
  readonly certificate?: ShownCertificate;
}

/** A certificate of this mesh that somebody holds. */
export interface ShownCertificate {
  /** As Node prints it: hexadecimal, upper case. */
  readonly serial: string;
  /** Milliseconds since 1970. */
  readonly notAfterMs: number;
  /** Id of the root that it leads to. */
  readonly root: string;
}

/** The part of an issuer's token by which it can be found again in the issuer's own logs. */
export interface IssuerProof {
  readonly issuer: string;
  readonly subject: string;
  /** The token's `jti`, where the issuer gives one. */
  readonly tokenId: string | undefined;
}

/** A typed no, told to the member as `refused`. */
export class EnrollmentRefused extends Error {
  override readonly name: string = "EnrollmentRefused";
  readonly code: RefusalCode;

  constructor(code: RefusalCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** What a connection shows for itself when it asks for the upgrade. */
export interface Evidence {
  /** The `authorization` header. */
  readonly authorization: string | undefined;
  /** The client certificate of the TLS session, whether or not Node could verify it. */
  readonly certificate: X509Certificate | undefined;
  /** The remote address; failed joins are limited by it. */
  readonly address?: string | undefined;
}

/** How a workload proves who it is, and gets a certificate that says so. */
export interface Enrollment {
  /**
   * A valid certificate of our own trust domain wins over a token; a token is only checked here, and claimed by `issue`.
   *
   * @throws EnrollmentRefused
   */
  authenticate(evidence: Evidence): Promise<MemberIdentity>;
  /**
   * Issues a certificate for exactly that identity. A single-use token is claimed by compare-and-set of its id to the hash of
   * the CSR's key, so the same key may ask again after a crash, another may not.
   *
   * @throws EnrollmentRefused
   */
  issue(identity: MemberIdentity, csr: string): Promise<IssuedCertificate>;
  counters(): Readonly<Record<string, number>>;
}

/** A chain and the end of its life. */
export interface IssuedCertificate extends ShownCertificate {
  /** Leaf first, then intermediates, PEM. */
  readonly chain: string;
}
