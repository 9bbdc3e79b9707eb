import { createPublicKey, type X509Certificate } from "node:crypto";
import { certificatesIn, isSelfSigned, subjectOf } from "./issuer.ts";
import { type CertificateSigner, keySigner, signingAlgorithmOf } from "./signer.ts";

/** An issuing CA of the user's own: an intermediate below a company's root, or a root. */
export interface GivenAuthority {
  /** PEM: the issuing CA's certificate, then what is between it and its root, then perhaps the root. */
  readonly certificateChain: string;
  /** Key of the first certificate, PEM. Exactly one of it and `sign`. */
  readonly privateKey?: string;
  /** Signs in place of a key: a KMS or an HSM. */
  readonly sign?: CertificateSigner;
  /** How long `sign` may take, milliseconds. Range 1 to 60,000. @default 10,000 */
  readonly signTimeoutMs?: number;
}

/** A given CA that was read and fits together. */
export interface ReadAuthority {
  /** The issuing CA first, its root last. */
  readonly chain: readonly X509Certificate[];
  readonly root: X509Certificate;
  readonly signer: CertificateSigner;
}

/**
 * Reads a given CA and finds its root.
 *
 * @param trusted roots that the chain may lead to, where it does not end in its own.
 * @throws Error that says which part does not fit.
 */
export const readGivenAuthority = (given: GivenAuthority, trusted: readonly X509Certificate[]): ReadAuthority => {
  const shown = certificatesIn(given.certificateChain);
  const [issuing] = shown;
  if (issuing === undefined) throw refused("its certificateChain holds no certificate in PEM");
  signingAlgorithmOf(issuing.publicKey);
  for (const [at, each] of shown.entries()) {
    if (!each.ca) throw refused(`certificate ${at + 1} of the chain (${subjectOf(each)}) is no CA`);
    const issuer = shown[at + 1];
    if (issuer !== undefined && !(each.checkIssued(issuer) && each.verify(issuer.publicKey))) {
      throw refused(`certificate ${at + 1} of the chain (${subjectOf(each)}) was not issued by the one behind it`);
    }
  }
  const last = shown.at(-1) ?? issuing;
  const root = isSelfSigned(last)
    ? last
    : trusted.find((each) => last.checkIssued(each) && last.verify(each.publicKey));
  if (root === undefined) {
    throw refused(
      `its chain ends at ${subjectOf(last)}, whose issuer is neither in the chain nor in trustRoots: add the root certificate`,
    );
  }
  return { chain: root === last ? shown : [...shown, root], root, signer: signerOf(given, issuing) };
};

const signerOf = ({ privateKey, sign }: GivenAuthority, issuing: X509Certificate): CertificateSigner => {
  if (privateKey === undefined) {
    if (sign === undefined) throw refused("it has neither a privateKey nor a sign function");
    return sign;
  }
  if (sign !== undefined) throw refused("it has both a privateKey and a sign function");
  const publicKey = publicKeyOf(privateKey);
  if (!publicKey.equals(issuing.publicKey)) {
    throw refused(`its privateKey is not the key of the first certificate of the chain (${subjectOf(issuing)})`);
  }
  return keySigner(privateKey);
};

const publicKeyOf = (privateKey: string) => {
  try {
    return createPublicKey(privateKey);
  } catch (cause) {
    throw refused("its privateKey cannot be read: give it in PEM, without a passphrase", cause);
  }
};

const refused = (why: string, cause?: unknown): Error =>
  new Error(`the given certificateAuthority is not used: ${why}`, { cause });
