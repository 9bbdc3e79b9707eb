import { constants, createPrivateKey, type KeyObject, sign, verify, type X509Certificate } from "node:crypto";
import type { Clock } from "@tulle/time";

/**
 * Signs certificates in place of a key in a file: a KMS, an HSM, another process. It is given the DER of what is to be signed
 * (`TBSCertificate`) and answers with the signature as X.509 holds it, over the hash that fits the issuing key:
 *
 * | the issuing certificate's key | algorithm | form |
 * |---|---|---|
 * | ECDSA P-256 | ecdsa-with-SHA256 | DER `ECDSA-Sig-Value` |
 * | ECDSA P-384 | ecdsa-with-SHA384 | DER `ECDSA-Sig-Value` |
 * | RSA, from 2048 bits | sha256WithRSAEncryption (PKCS #1 v1.5) | as it is |
 *
 * A rejection, an answer after the time limit, and a signature that the issuing certificate does not verify all fail the one
 * request that asked for it; the member asks again.
 */
export type CertificateSigner = (tbs: Uint8Array) => Promise<Uint8Array>;

/** The CA's key did not sign. The request can be repeated. */
export class SigningFailed extends Error {
  override readonly name: string = "SigningFailed";
  readonly code = "SIGNING_FAILED";
}

/** How one kind of issuing key signs. */
export interface SigningAlgorithm {
  readonly hash: "sha256" | "sha384";
  /** As @peculiar/x509 names it. */
  readonly x509: { readonly name: string; readonly hash: string; readonly namedCurve?: string };
  /** Bytes of a signature that has the right form and no meaning. */
  readonly placeholderBytes: number;
}

const MIN_RSA_BITS = 2048;

/** @throws Error when certificates cannot be signed with such a key. */
export const signingAlgorithmOf = (key: KeyObject): SigningAlgorithm => {
  const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  if (namedCurve === "prime256v1") {
    return {
      hash: "sha256",
      x509: { name: "ECDSA", hash: "SHA-256", namedCurve: "P-256" },
      placeholderBytes: 64,
    };
  }
  if (namedCurve === "secp384r1") {
    return {
      hash: "sha384",
      x509: { name: "ECDSA", hash: "SHA-384", namedCurve: "P-384" },
      placeholderBytes: 96,
    };
  }
  if (key.asymmetricKeyType === "rsa" && modulusLength >= MIN_RSA_BITS) {
    return {
      hash: "sha256",
      x509: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
      placeholderBytes: modulusLength / 8,
    };
  }
  const found = [key.asymmetricKeyType, namedCurve, modulusLength || undefined].filter((part) => part !== undefined);
  throw new Error(
    `a CA key of ${found.join(" ")} is not supported: use ECDSA P-256 or P-384, or RSA with at least ${MIN_RSA_BITS} bits`,
  );
};

/**
 * A signer on a private key in this process.
 *
 * @param pem PKCS#8, SEC 1 or PKCS#1.
 * @throws Error when it cannot be read.
 */
export const keySigner = (pem: string): CertificateSigner => {
  const key = createPrivateKey(pem);
  const { hash } = signingAlgorithmOf(key);
  return (tbs) =>
    new Promise((resolve, reject) => {
      sign(hash, tbs, paddedKey(key), (error, signature) => (error === null ? resolve(signature) : reject(error)));
    });
};

const paddedKey = (key: KeyObject) =>
  key.asymmetricKeyType === "rsa"
    ? { key, padding: constants.RSA_PKCS1_PADDING }
    : { key, dsaEncoding: "der" as const };

/** How far a signer is trusted. */
export interface SignerLimits {
  readonly clock: Clock;
  readonly timeoutMs: number;
}

/**
 * A signer that answers in time and with a good signature, or not at all: what it returns was verified with the issuing
 * certificate's key.
 *
 * @throws SigningFailed
 */
export const guardedSigner = (
  signer: CertificateSigner,
  issuer: X509Certificate,
  { clock, timeoutMs }: SignerLimits,
): CertificateSigner => {
  const { hash } = signingAlgorithmOf(issuer.publicKey);
  return async (tbs) => {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = clock.after(timeoutMs, () =>
      reject(
        new SigningFailed(`the CA's signing function did not answer within ${timeoutMs} ms: look at the KMS or HSM`),
      ),
    );
    try {
      // What it throws before it returns a promise is a rejection too.
      const signature = await Promise.race([Promise.resolve().then(() => signer(tbs)), late]);
      if (!verify(hash, tbs, issuer.publicKey, signature)) {
        throw new SigningFailed(
          "the CA's signing function returned a signature that its certificate does not verify: it uses another key, hash or form",
        );
      }
      return signature;
    } catch (error) {
      if (error instanceof SigningFailed) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw new SigningFailed(`the CA's signing function failed: ${why}`, { cause: error });
    } finally {
      timer.cancel();
    }
  };
};
