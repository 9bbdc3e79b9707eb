import { hash, X509Certificate as NodeCertificate } from "node:crypto";
import { type CertificateSigner, guardedSigner, type SignerLimits, signingAlgorithmOf } from "./signer.ts";
import { randomSerial, type Validity } from "./template.ts";
import {
  AuthorityKeyIdentifierExtension,
  type Extension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "./x509.ts";

/** A CA certificate with something that signs for it. */
export interface Issuer {
  readonly certificate: NodeCertificate;
  /** Up to, and without, the root; PEM. Sent behind each leaf. */
  readonly intermediates: readonly string[];
  /** Nothing that is signed may live longer: the earliest end of the chain. */
  readonly notAfterMs: number;
  /** @throws SigningFailed */
  sign(certificate: UnsignedCertificate): Promise<SignedCertificate>;
}

/** What a certificate is to say. */
export interface UnsignedCertificate {
  /** SPKI, DER. */
  readonly publicKey: Uint8Array;
  /** @default "", as an X.509-SVID that names its holder in the SAN alone */
  readonly subject?: string;
  readonly life: Validity;
  readonly extensions: readonly Extension[];
}

/** A certificate that was signed just now. */
export interface SignedCertificate {
  readonly pem: string;
  /** As `X509Certificate.serialNumber` prints it: hexadecimal, upper case. */
  readonly serial: string;
}

/**
 * Signs below a CA certificate.
 *
 * @param chain the CA's certificate first, then what is between it and its root, then perhaps the root.
 */
export const createIssuer = (
  chain: readonly NodeCertificate[],
  signer: CertificateSigner,
  limits: SignerLimits,
): Issuer => {
  const [certificate] = chain;
  if (certificate === undefined) throw new Error("the CA's chain holds no certificate");
  const algorithm = signingAlgorithmOf(certificate.publicKey);
  const parsed = new X509Certificate(certificate.raw);
  const authorityKeyId = keyIdOf(parsed);
  const sign = guardedSigner(signer, certificate, limits);
  return {
    certificate,
    intermediates: chain.filter((each) => !isSelfSigned(each)).map(pemOf),
    notAfterMs: Math.min(...chain.map((each) => each.validToDate.getTime())),
    sign: async ({ publicKey, subject = "", life, extensions }) => {
      const serial = randomSerial();
      // Made with a signature that means nothing, for the bytes that are to be signed.
      const draft = await X509CertificateGenerator.create({
        serialNumber: serial,
        subject,
        issuer: parsed.subjectName,
        notBefore: new Date(life.notBeforeMs),
        notAfter: new Date(life.notAfterMs),
        publicKey: new Uint8Array(publicKey),
        signature: new Uint8Array(algorithm.placeholderBytes).fill(1),
        signingAlgorithm: algorithm.x509,
        extensions: [
          ...extensions,
          new SubjectKeyIdentifierExtension(keyIdOfSpki(publicKey)),
          new AuthorityKeyIdentifierExtension(authorityKeyId),
        ],
      });
      const [tbs, algorithmIdentifier] = fieldsOf(new Uint8Array(draft.rawData));
      const signature = await sign(tbs);
      const der = sequence([tbs, algorithmIdentifier, bitString(signature)]);
      return { pem: pemOf({ raw: der }), serial: serial.toUpperCase() };
    },
  };
};

/** Whether a certificate is a root. */
export const isSelfSigned = (certificate: NodeCertificate): boolean => certificate.checkIssued(certificate);

/** A certificate's subject in one line. Node's types hide that an empty one is `undefined`. */
export const subjectOf = ({ subject }: { readonly subject: string | undefined }): string =>
  subject?.replaceAll("\n", ", ") ?? "a certificate without a subject";

/** A certificate as PEM, with a line's end. */
export const pemOf = ({ raw }: { readonly raw: Uint8Array }): string =>
  `-----BEGIN CERTIFICATE-----\n${Buffer.from(raw).toString("base64").replace(/.{64}/g, "$&\n").trimEnd()}\n-----END CERTIFICATE-----\n`;

/** Each certificate of a PEM text. @throws Error when one cannot be read. */
export const certificatesIn = (text: string): readonly NodeCertificate[] =>
  (text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []).map(
    (pem) => new NodeCertificate(pem),
  );

/** The key's identifier as its own certificate says it, for a CA may compute it in its own way. */
const keyIdOf = (certificate: X509Certificate): string =>
  certificate.extensions.find((each) => each instanceof SubjectKeyIdentifierExtension)?.keyId ??
  keyIdOfSpki(new Uint8Array(certificate.publicKey.rawData));

/** SHA-1 of the subjectPublicKey (RFC 5280, section 4.2.1.2); it names a key and proves nothing. */
const keyIdOfSpki = (spki: Uint8Array): string => {
  const [, bits] = fieldsOf(spki);
  // Behind tag, length and the count of unused bits.
  return hash("sha1", bits.subarray(headerBytes(bits) + 1), "hex");
};

/** The first two elements of a DER sequence, each whole. */
const fieldsOf = (der: Uint8Array): readonly [Uint8Array, Uint8Array] => {
  const first = headerBytes(der);
  const second = first + elementBytes(der.subarray(first));
  return [der.subarray(first, second), der.subarray(second, second + elementBytes(der.subarray(second)))];
};

const headerBytes = (der: Uint8Array): number => {
  const length = der[1] ?? 0;
  return length < 0x80 ? 2 : 2 + (length & 0x7f);
};

const elementBytes = (der: Uint8Array): number => {
  const header = headerBytes(der);
  const length = der[1] ?? 0;
  return header + (length < 0x80 ? length : der.subarray(2, header).reduce((sum, byte) => sum * 256 + byte, 0));
};

const element = (tag: number, content: Uint8Array): Uint8Array => {
  const bytes: number[] = [];
  for (let rest = content.length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  const length = content.length < 0x80 ? [content.length] : [0x80 | bytes.length, ...bytes];
  return Buffer.concat([Buffer.from([tag, ...length]), content]);
};

const sequence = (parts: readonly Uint8Array[]): Uint8Array => element(0x30, Buffer.concat(parts));

const bitString = (bits: Uint8Array): Uint8Array => element(0x03, Buffer.concat([Buffer.from([0]), bits]));
