import { createHash, createPublicKey, KeyObject, X509Certificate as NodeCertificate, webcrypto } from "node:crypto";
import { configServerIdentity } from "@tulle/protocol";
import type { Clock } from "@tulle/time";
import type { Authority } from "./authority.ts";
import type { KeyStore } from "./key-store.ts";
import {
  DEFAULT_CERTIFICATE_TTL_MS,
  leafValidity,
  randomSerial,
  rootExtensions,
  rootValidity,
  serverExtensions,
  svidExtensions,
  type Validity,
} from "./template.ts";
import { verifySvid } from "./verify-svid.ts";
import {
  AuthorityKeyIdentifierExtension,
  type Extension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "./x509.ts";

/** What a CA is opened with. */
export interface AuthorityOptions {
  readonly keyStore: KeyStore;
  /** Such as `cluster.local`. */
  readonly trustDomain: string;
  readonly clock: Clock;
  /** Life of a leaf. @default 24 h */
  readonly certificateTtlMs?: number;
}

/** All trusted roots, PEM, the issuing one first. */
const BUNDLE_FILE = "ca.pem";
const KEY_FILE = "ca-key.pem";

/**
 * Opens the mesh's CA, and makes its self-signed root (ECDSA P-256, 3650 days) on the first start.
 *
 * @throws Error when the key store holds a root without its key, a key that does not fit, or a root of another trust domain.
 */
export const openAuthority = async (options: AuthorityOptions): Promise<Authority> => {
  const { keyStore, trustDomain, clock, certificateTtlMs = DEFAULT_CERTIFICATE_TTL_MS } = options;
  const { issuer, signingKey, roots } = (await load(keyStore)) ?? (await create(keyStore, trustDomain, clock));
  const domain = uriOf(issuer);
  if (domain !== `spiffe://${trustDomain}`) {
    throw new Error(
      `the CA in the state folder belongs to "${domain}", not to the trust domain "${trustDomain}": start with that trust domain, or with an empty state folder`,
    );
  }
  const issuerNotAfterMs = issuer.notAfter.getTime();
  const rootCertificates = roots.map((pem) => new NodeCertificate(pem));
  const bundle = { trustDomain, roots };

  const sign = async (publicKey: Uint8Array, life: Validity, extensions: readonly Extension[]): Promise<string> => {
    const key = await importSpki(publicKey);
    const leaf = await X509CertificateGenerator.create({
      serialNumber: randomSerial(),
      // An X.509-SVID names its holder in the SAN alone.
      subject: "",
      issuer: issuer.subject,
      notBefore: new Date(life.notBeforeMs),
      notAfter: new Date(life.notAfterMs),
      publicKey: key,
      signingKey,
      signingAlgorithm,
      extensions: [
        ...extensions,
        await SubjectKeyIdentifierExtension.create(key),
        await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      ],
    });
    return `${leaf.toString("pem")}\n`;
  };

  return {
    trustDomain,
    bundle,
    pin: createHash("sha256").update(Buffer.from(issuer.publicKey.rawData)).digest("base64url"),
    issueSvid: async ({ publicKey, spiffeId }) => {
      const life = leafValidity(clock.wallNow(), certificateTtlMs, issuerNotAfterMs);
      const chain = await sign(publicKey, life, svidExtensions(spiffeId));
      return { chain, notAfterMs: life.notAfterMs };
    },
    issueServerCertificate: async (hosts) => {
      const life = leafValidity(clock.wallNow(), certificateTtlMs, issuerNotAfterMs);
      const keys = await generateKeys();
      const spki = new Uint8Array(await webcrypto.subtle.exportKey("spki", keys.publicKey));
      const leaf = await sign(spki, life, serverExtensions(configServerIdentity(trustDomain), hosts));
      return {
        chain: `${leaf}${issuer.toString("pem")}\n`,
        privateKey: pkcs8(keys.privateKey),
        notAfterMs: life.notAfterMs,
      };
    },
    verifySvid: (certificate) => verifySvid(certificate, rootCertificates, trustDomain, clock.wallNow()),
  };
};

const keyAlgorithm = { name: "ECDSA", namedCurve: "P-256" } as const;
const signingAlgorithm = { name: "ECDSA", hash: "SHA-256" } as const;

interface LoadedRoot {
  readonly issuer: X509Certificate;
  readonly signingKey: webcrypto.CryptoKey;
  readonly roots: readonly string[];
}

const load = async (keyStore: KeyStore): Promise<LoadedRoot | undefined> => {
  const [bundle, key] = [await keyStore.read(BUNDLE_FILE), await keyStore.read(KEY_FILE)];
  if (bundle === undefined && key === undefined) return undefined;
  if (bundle === undefined || key === undefined) {
    const [missing, present] = bundle === undefined ? [BUNDLE_FILE, KEY_FILE] : [KEY_FILE, BUNDLE_FILE];
    throw new Error(`the state folder holds ${present} but no ${missing}: restore it from a backup, or remove both`);
  }
  const roots =
    bundle.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)?.map((pem) => `${pem}\n`) ?? [];
  const [first] = roots;
  if (first === undefined) throw new Error(`${BUNDLE_FILE} in the state folder holds no certificate`);
  const der = pemBody(key);
  const signingKey = await webcrypto.subtle.importKey("pkcs8", der, keyAlgorithm, false, ["sign"]);
  const derived = createPublicKey(key).export({ type: "spki", format: "der" });
  const issuer = new X509Certificate(first);
  if (!derived.equals(Buffer.from(issuer.publicKey.rawData))) {
    throw new Error(`${KEY_FILE} in the state folder is not the key of the first certificate in ${BUNDLE_FILE}`);
  }
  return { issuer, signingKey, roots };
};

const create = async (keyStore: KeyStore, trustDomain: string, clock: Clock): Promise<LoadedRoot> => {
  const keys = await generateKeys();
  const life = rootValidity(clock.wallNow());
  const root = await X509CertificateGenerator.createSelfSigned({
    serialNumber: randomSerial(),
    name: `O=Tulle, CN=${trustDomain} root`,
    notBefore: new Date(life.notBeforeMs),
    notAfter: new Date(life.notAfterMs),
    keys,
    signingAlgorithm,
    extensions: [...rootExtensions(trustDomain), await SubjectKeyIdentifierExtension.create(keys.publicKey)],
  });
  const pem = `${root.toString("pem")}\n`;
  // The key first: a crash between the two leaves a key without a root, which the next start names.
  await keyStore.write(KEY_FILE, pkcs8(keys.privateKey));
  await keyStore.write(BUNDLE_FILE, pem);
  return { issuer: root, signingKey: keys.privateKey, roots: [pem] };
};

const generateKeys = (): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);

const importSpki = (spki: Uint8Array): Promise<webcrypto.CryptoKey> => {
  const key = createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" });
  const namedCurve = key.asymmetricKeyDetails?.namedCurve === "secp384r1" ? "P-384" : "P-256";
  return webcrypto.subtle.importKey("spki", new Uint8Array(spki), { name: "ECDSA", namedCurve }, true, ["verify"]);
};

const pkcs8 = (key: webcrypto.CryptoKey): string =>
  KeyObject.from(key).export({ type: "pkcs8", format: "pem" }).toString();

const pemBody = (pem: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(Buffer.from(pem.replace(/-----[^-]+-----/g, ""), "base64"));

const uriOf = (certificate: X509Certificate): string | undefined =>
  new NodeCertificate(certificate.toString("pem")).subjectAltName?.replace(/^URI:/, "");
