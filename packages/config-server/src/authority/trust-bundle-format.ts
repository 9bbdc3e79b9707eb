import { X509Certificate } from "node:crypto";
import type { TrustBundle } from "@tulle/policy";
import { certificatesIn, isSelfSigned, pemOf, subjectOf } from "./issuer.ts";

/** A bundle that cannot be read, or that says something that it must not. */
export class BundleRefused extends Error {
  override readonly name: string = "BundleRefused";
}

/** The longest text of a bundle that is looked at, characters. */
export const MAX_BUNDLE_LENGTH = 262_144;

const MAX_CERTIFICATES = 100;

/**
 * Reads a trust bundle: certificates in PEM, or a SPIFFE trust bundle (a JWK set; SPIFFE Trust Domain and Bundle, section 4),
 * of which the X.509 authorities count. Roots are roots; other CAs are kept as intermediates.
 *
 * @throws BundleRefused
 */
export const readTrustBundle = (trustDomain: string, text: string): TrustBundle => {
  if (text.length > MAX_BUNDLE_LENGTH)
    throw new BundleRefused(`the bundle is longer than ${MAX_BUNDLE_LENGTH} characters`);
  const certificates = /^\s*\{/.test(text) ? ofJwks(text) : ofPem(text);
  if (certificates.length > MAX_CERTIFICATES) {
    throw new BundleRefused(`the bundle holds more than ${MAX_CERTIFICATES} certificates`);
  }
  for (const each of certificates) {
    const name = subjectOf(each);
    if (!each.ca) throw new BundleRefused(`${name} is no CA: a bundle holds roots, not the certificates of workloads`);
    const uris = (each.subjectAltName ?? "").split(", ").filter((part) => part.startsWith("URI:"));
    const stranger = uris.find((uri) => uri !== `URI:spiffe://${trustDomain}`);
    if (stranger !== undefined) {
      throw new BundleRefused(`${name} says that it is ${stranger.slice("URI:".length)}, not of ${trustDomain}`);
    }
  }
  const roots = certificates.filter(isSelfSigned).map(pemOf);
  const intermediates = certificates.filter((each) => !isSelfSigned(each)).map(pemOf);
  if (roots.length === 0) throw new BundleRefused("the bundle holds no root certificate");
  return { trustDomain, roots, ...(intermediates.length === 0 ? {} : { intermediates }) };
};

/** Writes a bundle as SPIFFE's JWK set. */
export const writeJwks = ({ roots }: TrustBundle): string =>
  JSON.stringify(
    {
      keys: roots.map((pem) => {
        const root = new X509Certificate(pem);
        return { ...root.publicKey.export({ format: "jwk" }), use: "x509-svid", x5c: [root.raw.toString("base64")] };
      }),
    },
    undefined,
    2,
  );

const ofPem = (text: string): readonly X509Certificate[] => {
  try {
    return certificatesIn(text);
  } catch (cause) {
    throw new BundleRefused("a certificate of the bundle cannot be read", { cause });
  }
};

const ofJwks = (text: string): readonly X509Certificate[] => {
  try {
    const { keys } = JSON.parse(text) as { readonly keys: readonly Record<string, unknown>[] };
    return keys
      .filter(({ use }) => use === "x509-svid")
      .map(({ x5c }) => {
        // Section 4.2: exactly one certificate stands for an X.509 authority.
        if (!Array.isArray(x5c) || x5c.length !== 1 || typeof x5c[0] !== "string") throw new Error("x5c");
        return new X509Certificate(Buffer.from(x5c[0], "base64"));
      });
  } catch (cause) {
    throw new BundleRefused("the bundle is no SPIFFE trust bundle: a JWK set whose keys have `use` and `x5c`", {
      cause,
    });
  }
};
