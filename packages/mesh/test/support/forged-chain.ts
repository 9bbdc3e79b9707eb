import "reflect-metadata";
import { webcrypto as crypto } from "node:crypto";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  type PublicKey,
  type X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";

const ecdsa = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
type Keys = Awaited<ReturnType<typeof newKeys>>;
const newKeys = () => crypto.subtle.generateKey(ecdsa, true, ["sign", "verify"]);

/** A name of a certificate as its bytes say it, whatever libraries would let one write. */
export interface RawName {
  readonly kind: "dns" | "uri" | "email";
  readonly text: string;
}

/** What a certificate says. Every field has a good value where none is named. */
export interface Says {
  readonly names?: readonly RawName[];
  readonly subject?: string;
  readonly ca?: boolean;
  readonly pathLength?: number;
  /** Without: no such extension. */
  readonly usage?: KeyUsageFlags | "none";
  readonly extendedUsage?: readonly string[] | "none";
  /** Milliseconds from now. */
  readonly fromMs?: number;
  readonly untilMs?: number;
}

/** A certificate and its key, which can sign others whether it may or not. */
export interface Forged {
  readonly certificate: X509Certificate;
  readonly keys: Keys;
  readonly pem: string;
}

const HOUR_MS = 3_600_000;
const tags = { email: 0x81, dns: 0x82, uri: 0x86 } as const;

/** DER of one value. */
const der = (tag: number, value: Uint8Array): Buffer => {
  const length =
    value.length < 128
      ? [value.length]
      : value.length < 256
        ? [0x81, value.length]
        : [0x82, value.length >> 8, value.length & 255];
  return Buffer.concat([Buffer.from([tag, ...length]), value]);
};

const namesExtension = (names: readonly RawName[]): Extension =>
  new Extension(
    "2.5.29.17",
    false,
    new Uint8Array(
      der(0x30, Buffer.concat(names.map(({ kind, text }) => der(tags[kind], Buffer.from(text, "latin1"))))),
    ),
  );

const extensionsOf = ({ names, ca = false, pathLength, usage, extendedUsage }: Says): Extension[] => [
  new BasicConstraintsExtension(ca, pathLength, true),
  ...(usage === "none"
    ? []
    : [new KeyUsagesExtension(usage ?? (ca ? KeyUsageFlags.keyCertSign : KeyUsageFlags.digitalSignature), true)]),
  ...(extendedUsage === "none" || (ca && extendedUsage === undefined)
    ? []
    : [
        new ExtendedKeyUsageExtension(
          (extendedUsage ?? [ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]) as string[],
        ),
      ]),
  ...(names === undefined || names.length === 0 ? [] : [namesExtension(names)]),
];

const timesOf = ({ fromMs = -HOUR_MS, untilMs = HOUR_MS }: Says) => ({
  notBefore: new Date(Date.now() + fromMs),
  notAfter: new Date(Date.now() + untilMs),
});

const forged = (certificate: X509Certificate, keys: Keys): Forged => ({
  certificate,
  keys,
  pem: `${certificate.toString("pem")}\n`,
});

/** A certificate that vouches for itself. */
export const selfSigned = async (says: Says = {}): Promise<Forged> => {
  const keys = await newKeys();
  const made = await X509CertificateGenerator.createSelfSigned(
    {
      name: says.subject ?? "CN=root",
      ...timesOf(says),
      signingAlgorithm: ecdsa,
      keys,
      extensions: extensionsOf(says),
    },
    crypto,
  );
  return forged(made, keys);
};

/** A root as a mesh has it. */
export const rootOf = (says: Says = {}): Promise<Forged> => selfSigned({ ca: true, ...says });

/** A certificate that somebody signs, whether they may or not. */
export const signedBy = async (issuer: Forged, says: Says = {}): Promise<Forged> => {
  const keys = await newKeys();
  const made = await X509CertificateGenerator.create(
    {
      issuer: issuer.certificate.subject,
      subject: says.subject ?? "",
      ...timesOf(says),
      signingAlgorithm: ecdsa,
      publicKey: keys.publicKey as unknown as PublicKey,
      signingKey: issuer.keys.privateKey,
      extensions: extensionsOf(says),
    },
    crypto,
  );
  return forged(made, keys);
};

/** What a caller shows: the leaf and what it sends along. */
export const shown = async (leaf: Forged, ...above: readonly Forged[]) => {
  const key = Buffer.from(await crypto.subtle.exportKey("pkcs8", leaf.keys.privateKey)).toString("base64");
  return {
    certificateChain: [leaf, ...above].map(({ pem }) => pem).join(""),
    privateKey: `-----BEGIN PRIVATE KEY-----\n${key}\n-----END PRIVATE KEY-----\n`,
  };
};

/** A URI among a certificate's names. */
export const uri = (text: string): RawName => ({ kind: "uri", text });
