import { wrongHost } from "./field-limits.ts";
import type { Check } from "./policy-check.ts";
import type { PolicyPath } from "./policy-path.ts";

/**
 * TLS to whoever is no member of the mesh: the peer proves the name of a host, not an identity of the mesh. Known elsewhere
 * as `tls` of a DestinationRule.
 */
export interface OutsideTls {
  /**
   * `simple`: only the other side shows a certificate. `mutual`: this member shows its certificate of the mesh too.
   * `disable`: plaintext. @default "simple"
   */
  readonly mode?: "disable" | "simple" | "mutual";
  /** The name that is asked for (SNI) and that the certificate must hold. @default the host that is called */
  readonly sni?: string;
  /** The roots that the certificate must lead to, PEM, one or several; at most 65,536 characters. @default those that Node.js trusts */
  readonly ca?: string;
  /** Names of which the certificate must hold one, DNS names or URIs, instead of the name that is asked for. @default none */
  readonly subjectAltNames?: readonly string[];
}

/** One-sided or mutual TLS with every field filled in but the name, which is the endpoint's. */
export interface EffectiveOutsideTls {
  readonly mutual: boolean;
  readonly sni: string | undefined;
  readonly ca: string | undefined;
  readonly subjectAltNames: readonly string[];
}

/** `undefined` for plaintext. */
export const effectiveOutsideTls = (tls: OutsideTls | undefined): EffectiveOutsideTls | undefined =>
  tls === undefined || tls.mode === "disable"
    ? undefined
    : { mutual: tls.mode === "mutual", sni: tls.sni, ca: tls.ca, subjectAltNames: tls.subjectAltNames ?? [] };

/** Longest text of roots, characters: a resource must hold it beside all else. */
export const MAX_CA_CHARACTERS = 65_536;

const certificates = /^\s*(?:-----BEGIN CERTIFICATE-----\s+[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*)+$/;

/** What is wrong with a text of roots, if anything. Whether each can be read is found where they are used. */
export const wrongCa = (text: string): string | undefined => {
  if (text.length > MAX_CA_CHARACTERS) return `the roots have more than ${MAX_CA_CHARACTERS} characters`;
  return certificates.test(text)
    ? undefined
    : 'not certificates in PEM: write "-----BEGIN CERTIFICATE-----", its lines and "-----END CERTIFICATE-----", as often as there are roots';
};

/** What is wrong with a name that a certificate is to hold, if anything: a DNS name or a URI. */
export const wrongAlternativeName = (text: string): string | undefined =>
  text.includes("://") && !/[\s",]/.test(text) ? undefined : wrongHost(text);

/** Holds the field together. */
export const checkOutsideTls = (path: PolicyPath, tls: OutsideTls | undefined, check: Check): void => {
  if (tls === undefined) return;
  check.text([...path, "sni"], tls.sni, wrongHost);
  check.text([...path, "ca"], tls.ca, wrongCa);
  check.texts([...path, "subjectAltNames"], tls.subjectAltNames, wrongAlternativeName);
  if (tls.mode !== "disable") return;
  for (const field of ["sni", "ca", "subjectAltNames"] as const) {
    if (tls[field] !== undefined) check.report([...path, field], 'means nothing with mode "disable"');
  }
};
