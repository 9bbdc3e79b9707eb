import { randomBytes } from "node:crypto";
import { isIP } from "node:net";
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
} from "./x509.ts";

/** Life of a root: 3650 days, Istio's. */
export const ROOT_TTL_MS: number = 3650 * 24 * 3_600_000;

/** Life of a leaf unless the options say otherwise: 24 h, Istio's and SPIRE's habit. */
export const DEFAULT_CERTIFICATE_TTL_MS: number = 24 * 3_600_000;

/** A certificate is valid from a little before it is made, so that a peer whose clock is slow takes it. */
export const BACKDATE_MS = 20_000;

/** From when to when a certificate holds, in whole seconds as X.509 writes them. */
export interface Validity {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/**
 * The life of a new leaf. It never ends after its issuer's.
 *
 * @throws RangeError when the issuer's life is over.
 */
export const leafValidity = (nowMs: number, ttlMs: number, issuerNotAfterMs: number): Validity => {
  const notAfterMs = wholeSecond(Math.min(nowMs + ttlMs, issuerNotAfterMs));
  if (notAfterMs <= nowMs) {
    throw new RangeError(
      `no certificate can be issued: the issuing CA ended at ${new Date(issuerNotAfterMs).toISOString()}`,
    );
  }
  return { notBeforeMs: wholeSecond(nowMs - BACKDATE_MS), notAfterMs };
};

/** The life of a new root. */
export const rootValidity = (nowMs: number): Validity => ({
  notBeforeMs: wholeSecond(nowMs - BACKDATE_MS),
  notAfterMs: wholeSecond(nowMs + ROOT_TTL_MS),
});

/** What a root says: it signs leaves, and nothing below it is a CA. */
export const rootExtensions = (trustDomain: string): readonly Extension[] => [
  new BasicConstraintsExtension(true, 0, true),
  new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
  new SubjectAlternativeNameExtension([{ type: "url", value: `spiffe://${trustDomain}` }]),
];

/** What a member's certificate says: an X.509-SVID, valid as client and as server. Its subject is empty, so the SAN is critical. */
export const svidExtensions = (spiffeId: string): readonly Extension[] => [
  ...leafExtensions,
  new SubjectAlternativeNameExtension([{ type: "url", value: spiffeId }], true),
];

/** What the config-server's own certificate says: the hosts it answers under, and its SPIFFE ID. */
export const serverExtensions = (spiffeId: string, hosts: readonly string[]): readonly Extension[] => [
  ...leafExtensions,
  new SubjectAlternativeNameExtension(
    [
      ...hosts.map((host) => ({ type: isIP(host) === 0 ? ("dns" as const) : ("ip" as const), value: host })),
      { type: "url" as const, value: spiffeId },
    ],
    true,
  ),
];

/** 127 random bits, positive as RFC 5280 wants. Serial numbers are secrets' cousins: never from a seeded source. */
export const randomSerial = (): string => {
  const bytes = randomBytes(16);
  // The top bit off keeps it positive, the next one on keeps it 16 bytes long.
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString("hex");
};

const leafExtensions: readonly Extension[] = [
  new BasicConstraintsExtension(false, undefined, true),
  new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
  new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
];

const wholeSecond = (ms: number): number => Math.floor(ms / 1000) * 1000;
