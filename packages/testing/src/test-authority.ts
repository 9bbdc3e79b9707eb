import "reflect-metadata";
import { webcrypto as crypto, randomBytes } from "node:crypto";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  type X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";
import type { Credentials, TrustBundle } from "@tulle/policy";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/** What a test certificate shall say. */
export interface TestSvidOptions {
  /** Whole SPIFFE ID. @default `spiffe://<trust domain>/ns/default/sa/<serviceAccount>` */
  readonly spiffeId?: string;
  /** @default "test" */
  readonly serviceAccount?: string;
  /** @default "default" */
  readonly namespace?: string;
  /** From `notBeforeMs` on. @default 1 h */
  readonly lifetimeMs?: number;
  /** Wall clock, milliseconds since 1970; in the future for one that is not yet valid. @default a minute ago */
  readonly notBeforeMs?: number;
  /** Makes it expired a second ago. @default false */
  readonly expired?: boolean;
  /** URI names instead of the SPIFFE ID alone: none, or several, to be refused. */
  readonly uris?: readonly string[];
  /** DNS names beside the URI, for one-sided TLS. @default none */
  readonly dnsNames?: readonly string[];
  /** @default 1 */
  readonly generation?: number;
  /** SPKI, DER, of a key that was made elsewhere, as in a certificate request; `privateKey` is then `""`. @default a new key */
  readonly publicKey?: Uint8Array;
  /** Bundles in the credentials. @default the authority's own */
  readonly bundles?: readonly TrustBundle[];
}

/** A certificate authority that lives in a test. */
export interface TestAuthority {
  readonly trustDomain: string;
  /** PEM. */
  readonly root: string;
  readonly bundle: TrustBundle;
  /** Makes a P-256 key and a certificate for it. */
  issue(options?: TestSvidOptions): Promise<Credentials>;
}

/** Makes a root of its own key pair. @param trustDomain default "cluster.local" */
export const createTestAuthority = async (trustDomain: string = "cluster.local"): Promise<TestAuthority> => {
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const now = Date.now();
  const root: X509Certificate = await X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: serialNumber(),
      name: `CN=Test root of ${trustDomain}`,
      notBefore: new Date(now - 24 * 3_600_000),
      notAfter: new Date(now + 24 * 3_600_000),
      signingAlgorithm: algorithm,
      keys,
      extensions: [
        new BasicConstraintsExtension(true, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
        new SubjectAlternativeNameExtension([{ type: "url", value: `spiffe://${trustDomain}` }]),
      ],
    },
    crypto,
  );
  const bundle: TrustBundle = { trustDomain, roots: [root.toString("pem")] };

  const issue = async (options: TestSvidOptions = {}): Promise<Credentials> => {
    const spiffeId =
      options.spiffeId ??
      `spiffe://${trustDomain}/ns/${options.namespace ?? "default"}/sa/${options.serviceAccount ?? "test"}`;
    const leafKeys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
    const requested =
      options.publicKey && (await crypto.subtle.importKey("spki", options.publicKey, algorithm, true, ["verify"]));
    const lifetimeMs = options.lifetimeMs ?? 3_600_000;
    // A certificate counts in whole seconds.
    const notBeforeMs = wholeSecond(
      options.notBeforeMs ?? (options.expired === true ? Date.now() - lifetimeMs - 1_000 : Date.now() - 60_000),
    );
    const notAfterMs = wholeSecond(
      options.notBeforeMs === undefined && options.expired !== true
        ? Date.now() + lifetimeMs
        : notBeforeMs + lifetimeMs,
    );
    const names = [
      ...(options.uris ?? [spiffeId]).map((value) => ({ type: "url" as const, value })),
      ...(options.dnsNames ?? []).map((value) => ({ type: "dns" as const, value })),
    ];
    const leaf = await X509CertificateGenerator.create(
      {
        serialNumber: serialNumber(),
        issuer: root.subject,
        subject: "",
        notBefore: new Date(notBeforeMs),
        notAfter: new Date(notAfterMs),
        signingAlgorithm: algorithm,
        publicKey: requested ?? leafKeys.publicKey,
        signingKey: keys.privateKey,
        extensions: [
          new BasicConstraintsExtension(false, undefined, true),
          new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
          new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
          ...(names.length > 0 ? [new SubjectAlternativeNameExtension(names, true)] : []),
        ],
      },
      crypto,
    );
    return {
      generation: options.generation ?? 1,
      spiffeId,
      certificateChain: leaf.toString("pem"),
      privateKey: requested ? "" : pem("PRIVATE KEY", await crypto.subtle.exportKey("pkcs8", leafKeys.privateKey)),
      notBeforeMs,
      notAfterMs,
      bundles: options.bundles ?? [bundle],
    };
  };

  return { trustDomain, root: root.toString("pem"), bundle, issue };
};

const wholeSecond = (ms: number): number => Math.floor(ms / 1_000) * 1_000;

/** 16 random bytes whose first bit is 0, so that DER keeps them positive. */
const serialNumber = (): string => {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x01;
  return bytes.toString("hex");
};

const pem = (label: string, der: ArrayBuffer): string =>
  `-----BEGIN ${label}-----\n${Buffer.from(der).toString("base64").replace(/.{64}/g, "$&\n").trimEnd()}\n-----END ${label}-----\n`;
