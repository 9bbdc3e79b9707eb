import { webcrypto } from "node:crypto";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectKeyIdentifierExtension,
  X509CertificateGenerator,
} from "../src/authority/x509.ts";

/** A CA of a company's, as its files would hold it. */
export interface TestCa {
  /** PEM. */
  readonly certificate: string;
  /** With what is above it, the root included. */
  readonly chain: string;
  /** PKCS#8 PEM. */
  readonly privateKey: string;
  readonly name: string;
  readonly keys: webcrypto.CryptoKeyPair;
}

/** What a CA is to say. */
export interface TestCaOptions {
  readonly name: string;
  /** @default "P-256" */
  readonly kind?: "P-256" | "P-384" | "RSA";
  /** @default itself: a root */
  readonly issuer?: TestCa;
  /** @default none */
  readonly pathLength?: number;
  /** @default 10 h */
  readonly lifeMs?: number;
  /** The one host that URI names below may have. @default any */
  readonly permittedUriHost?: string;
}

const algorithms = {
  "P-256": { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" },
  "P-384": { name: "ECDSA", namedCurve: "P-384", hash: "SHA-384" },
  RSA: {
    name: "RSASSA-PKCS1-v1_5",
    hash: "SHA-256",
    modulusLength: 2048,
    publicExponent: new Uint8Array([1, 0, 1]),
  },
} as const;

/** Makes a CA; its times are the real clock's. */
export const testCa = async (options: TestCaOptions): Promise<TestCa> => {
  const { name, kind = "P-256", issuer, pathLength, lifeMs = 36_000_000, permittedUriHost } = options;
  const keys = await webcrypto.subtle.generateKey(algorithms[kind], true, ["sign", "verify"]);
  const by = issuer?.keys ?? keys;
  const nowMs = Math.floor(Date.now() / 1_000) * 1_000;
  const made = await X509CertificateGenerator.create({
    subject: `CN=${name}`,
    issuer: `CN=${issuer?.name ?? name}`,
    notBefore: new Date(nowMs - 60_000),
    notAfter: new Date(nowMs + lifeMs),
    publicKey: keys.publicKey,
    signingKey: by.privateKey,
    signingAlgorithm: { name: by.privateKey.algorithm.name, hash: kind === "P-384" ? "SHA-384" : "SHA-256" },
    extensions: [
      new BasicConstraintsExtension(true, pathLength, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      await AuthorityKeyIdentifierExtension.create(by.publicKey),
      ...(permittedUriHost === undefined ? [] : [new Extension("2.5.29.30", true, permittedUri(permittedUriHost))]),
    ],
  });
  const certificate = `${made.toString("pem")}\n`;
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey));
  return {
    certificate,
    chain: `${certificate}${issuer?.chain ?? ""}`,
    privateKey: `-----BEGIN PRIVATE KEY-----\n${der.toString("base64")}\n-----END PRIVATE KEY-----\n`,
    name,
    keys,
  };
};

/** NameConstraints (RFC 5280, section 4.2.1.10) with one permitted URI. */
const permittedUri = (host: string): Uint8Array<ArrayBuffer> => {
  const wrap = (tag: number, content: readonly number[]): number[] => [tag, content.length, ...content];
  return new Uint8Array(wrap(0x30, wrap(0xa0, wrap(0x30, wrap(0x86, [...Buffer.from(host)])))));
};
