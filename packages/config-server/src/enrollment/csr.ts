import { createHash, createPublicKey } from "node:crypto";
import { Pkcs10CertificateRequest, SubjectAlternativeNameExtension } from "../authority/x509.ts";
import { EnrollmentRefused } from "./enrollment.ts";

/** Longest certificate request, PEM. A P-384 request with one SAN has about 700 bytes. */
export const MAX_CSR_BYTES = 8192;

/** What a good request asks to certify. */
export interface VerifiedCsr {
  /** SPKI, DER. */
  readonly publicKey: Uint8Array;
  /** SHA-256 of the SPKI, base64url: what claims a single-use token. */
  readonly keyHash: string;
}

const SUBJECT_ALT_NAME = "2.5.29.17";
const ALLOWED_CURVES = new Map([
  ["prime256v1", "P-256"],
  ["secp384r1", "P-384"],
]);

/**
 * Checks a PKCS#10 request for the certificate of one identity: its size, key (ECDSA P-256 or P-384), signature, and that it
 * names nobody else. What else the request wishes for is ignored: the template decides what a certificate says.
 *
 * @throws EnrollmentRefused `csr-malformed`, `csr-key`, `csr-signature` or `csr-subject`.
 */
export const verifyCsr = async (pem: string, spiffeId: string): Promise<VerifiedCsr> => {
  if (pem.length > MAX_CSR_BYTES) {
    throw new EnrollmentRefused("csr-malformed", `the request has ${pem.length} bytes, more than ${MAX_CSR_BYTES}`);
  }
  const { request, names } = parse(pem);
  const publicKey = new Uint8Array(request.publicKey.rawData);
  checkKey(publicKey);
  if (!(await request.verify().catch(() => false))) {
    throw new EnrollmentRefused("csr-signature", "the request is not signed by the key that it names");
  }
  if (names !== undefined && (names.length !== 1 || names[0] !== spiffeId)) {
    throw new EnrollmentRefused(
      "csr-subject",
      `the request asks for [${names.join(", ").slice(0, 200)}], but its sender is ${spiffeId}: name exactly that URI, or no name at all`,
    );
  }
  return { publicKey, keyHash: createHash("sha256").update(publicKey).digest("base64url") };
};

const parse = (pem: string): { request: Pkcs10CertificateRequest; names: readonly string[] | undefined } => {
  try {
    const block =
      /^\s*-----BEGIN CERTIFICATE REQUEST-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE REQUEST-----\s*$/.exec(pem);
    if (block?.[1] === undefined) throw new Error("it is not one PEM block CERTIFICATE REQUEST");
    const request = new Pkcs10CertificateRequest(new Uint8Array(Buffer.from(block[1], "base64")));
    const extensions = request.extensions.filter(({ type }) => type === SUBJECT_ALT_NAME);
    const names = extensions.flatMap(({ rawData }) =>
      new SubjectAlternativeNameExtension(rawData).names.items.map(({ type, value }) =>
        type === "url" ? value : `${type}:${value}`,
      ),
    );
    return { request, names: extensions.length === 0 ? undefined : names };
  } catch (error) {
    throw new EnrollmentRefused(
      "csr-malformed",
      `the request cannot be read as PKCS#10: ${error instanceof Error ? error.message : "unknown form"}`,
    );
  }
};

const checkKey = (publicKey: Uint8Array): void => {
  const key = readKey(publicKey);
  const curve = key?.asymmetricKeyDetails?.namedCurve;
  if (curve !== undefined && ALLOWED_CURVES.has(curve)) return;
  const bits = key?.asymmetricKeyDetails?.modulusLength;
  const found = [key?.asymmetricKeyType ?? "an unknown type", curve, bits]
    .filter((part) => part !== undefined)
    .join(" ");
  throw new EnrollmentRefused("csr-key", `the request's key is ${found}; allowed are ECDSA P-256 and P-384`);
};

const readKey = (publicKey: Uint8Array): ReturnType<typeof createPublicKey> | undefined => {
  try {
    return createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
  } catch {
    return undefined;
  }
};
