import { formatSpiffeId, parseSpiffeId } from "./spiffe-id.ts";

/** Certificates and identities that count no longer, although they have not expired. */
export interface Revocations {
  /** Serial numbers as {@link normalSerial} writes them. */
  readonly serials: ReadonlySet<string>;
  readonly spiffeIds: ReadonlySet<string>;
}

/** A serial number in one form: hexadecimal, upper case, without separators and leading zeros. */
export const normalSerial = (serial: string): string =>
  serial
    .replace(/[:\s]/g, "")
    .toUpperCase()
    .replace(/^0+(?=.)/, "");

/**
 * Whether a peer's certificate, or whoever it names, was revoked.
 *
 * @param ownNames of the own trust domain: who is revoked under one of them is revoked under all.
 */
export const isRevoked = (
  revocations: Revocations | undefined,
  peer: { readonly serial: string; readonly spiffeId: string },
  ownNames: readonly string[] = [],
): boolean => {
  if (revocations === undefined) return false;
  const { serials, spiffeIds } = revocations;
  if (spiffeIds.has(peer.spiffeId) || serials.has(normalSerial(peer.serial))) return true;
  const id = spiffeIds.size === 0 || ownNames.length < 2 ? undefined : parseSpiffeId(peer.spiffeId);
  if (id === undefined || !ownNames.includes(id.trustDomain)) return false;
  return ownNames.some((trustDomain) => spiffeIds.has(formatSpiffeId({ ...id, trustDomain })));
};
