import type { Revocations } from "./revocations.ts";

/** The root certificates of one trust domain. A chain is verified against the bundle of its SAN's own domain only. */
export interface TrustBundle {
  readonly trustDomain: string;
  /** Root certificates, PEM, one each. */
  readonly roots: readonly string[];
  /** CAs between the roots and the leaves, PEM, one each: for peers whose chain TLS does not show. @default none */
  readonly intermediates?: readonly string[];
}

/** One generation of a member's X.509-SVID with its key and the bundles it trusts. Immutable; replaced whole. */
export interface Credentials {
  /** Counts up with each renewal or change of trust in this process, from 1. */
  readonly generation: number;
  /** The member's SPIFFE ID, such as `spiffe://cluster.local/ns/default/sa/reviews`. */
  readonly spiffeId: string;
  /** The leaf first, then intermediates, PEM, concatenated. */
  readonly certificateChain: string;
  /** PKCS#8 PEM. Stays in this process, but for the state folder where one is given. */
  readonly privateKey: string;
  /** Wall-clock milliseconds since 1970. */
  readonly notBeforeMs: number;
  /** Wall-clock milliseconds since 1970. */
  readonly notAfterMs: number;
  readonly bundles: readonly TrustBundle[];
  /** Peers that are refused although their certificates hold. A change of it alone is no new generation. @default none */
  readonly revoked?: Revocations;
}

/** Whether two credentials show and trust the same: connections that were made with one serve the other. */
export const withSameIdentity = (a: Credentials | undefined, b: Credentials | undefined): boolean =>
  a === b ||
  (a !== undefined &&
    b !== undefined &&
    a.generation === b.generation &&
    a.certificateChain === b.certificateChain &&
    a.privateKey === b.privateKey &&
    a.bundles === b.bundles);
