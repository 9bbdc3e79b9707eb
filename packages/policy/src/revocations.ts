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

/** Whether a peer's certificate, or whoever it names, was revoked. */
export const isRevoked = (
  revocations: Revocations | undefined,
  peer: { readonly serial: string; readonly spiffeId: string },
): boolean =>
  revocations !== undefined &&
  (revocations.spiffeIds.has(peer.spiffeId) || revocations.serials.has(normalSerial(peer.serial)));
