import { createHash, createPublicKey } from "node:crypto";
import { ExtensionsAttribute, Pkcs10CertificateRequest, SubjectAlternativeNameExtension } from "../authority/x509.ts";
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
/**
 * How a public key of an allowed curve begins: the curve by its name, and 4 for a point that is not compressed (RFC 5480). One
 * key has one form, so its hash is the same each time; explicit curve parameters, which may name another base point
 * (CVE-2020-0601), have none.
 */
const ALLOWED_FORMS: ReadonlyMap<string, Buffer> = new Map([
  ["prime256v1", Buffer.from("3059301306072a8648ce3d020106082a8648ce3d03010703420004", "hex")],
  ["secp384r1", Buffer.from("3076301006072a8648ce3d020106052b8104002203620004", "hex")],
]);

/**
 * Checks a PKCS#10 request for the certificate of one identity: its size, key (ECDSA P-256 or P-384), signature, and that it
 * names nobody else. What else the request wishes for is ignored: the template decides what a certificate says.
 *
 * @throws EnrollmentRefused `csr-malformed`, `csr-key`, `csr-signature` or `csr-subject`.
 */
export const verifyCsr = async (pem: string, spiffeId: string): Promise<VerifiedCsr> => {
  const { request, names, publicKey } = readCsr(pem);
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

/** A request whose form and key are good, whoever signed it. */
interface ReadCsr {
  readonly request: Pkcs10CertificateRequest;
  /** SPKI, DER. */
  readonly publicKey: Uint8Array;
  /** Alternative names as text; `undefined` when the request has none. */
  readonly names: readonly string[] | undefined;
}

/** Reads a request and checks its key, not its signature. @throws EnrollmentRefused `csr-malformed` or `csr-key`. */
export const readCsr = (pem: string): ReadCsr => {
  if (pem.length > MAX_CSR_BYTES) {
    throw new EnrollmentRefused("csr-malformed", `the request has ${pem.length} bytes, more than ${MAX_CSR_BYTES}`);
  }
  const read = parse(pem);
  checkKey(read.publicKey);
  return read;
};

const parse = (pem: string): ReadCsr => {
  try {
    const block =
      /^\s*-----BEGIN CERTIFICATE REQUEST-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE REQUEST-----\s*$/.exec(pem);
    if (block?.[1] === undefined) throw new Error("it is not one PEM block CERTIFICATE REQUEST");
    const request = new Pkcs10CertificateRequest(new Uint8Array(Buffer.from(block[1], "base64")));
    // Of all such attributes: the library's own `extensions` are those of the first.
    const extensions = request.attributes
      .flatMap((attribute) => (attribute instanceof ExtensionsAttribute ? attribute.items : []))
      .filter(({ type }) => type === SUBJECT_ALT_NAME);
    const names = extensions.flatMap(({ rawData }) =>
      new SubjectAlternativeNameExtension(rawData).names.items.map(({ type, value }) =>
        type === "url" ? value : `${type}:${value}`,
      ),
    );
    const publicKey = new Uint8Array(request.publicKey.rawData);
    return { request, publicKey, names: extensions.length === 0 ? undefined : names };
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
  const form = curve === undefined ? undefined : ALLOWED_FORMS.get(curve);
  if (form !== undefined && Buffer.from(publicKey.subarray(0, form.length)).equals(form)) return;
  const bits = key?.asymmetricKeyDetails?.modulusLength;
  const found = [key?.asymmetricKeyType ?? "an unknown type", curve, bits]
    .filter((part) => part !== undefined)
    .join(" ");
  throw new EnrollmentRefused(
    "csr-key",
    `the request's key is ${found}; allowed are ECDSA P-256 and P-384, the curve by name and the point uncompressed`,
  );
};

const readKey = (publicKey: Uint8Array): ReturnType<typeof createPublicKey> | undefined => {
  try {
    return createPublicKey({ key: Buffer.from(publicKey), format: "der", type: "spki" });
  } catch {
    return undefined;
  }
};
