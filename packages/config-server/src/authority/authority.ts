import type { X509Certificate } from "node:crypto";
import type { TrustBundle } from "@tulle/policy";
import type { Watched } from "@tulle/time";
import type { IssuedCertificate } from "../enrollment/enrollment.ts";
import type { RootRecord } from "./authority-state.ts";
import type { RotationPhase } from "./rotation.ts";

/** What a certificate is to say. */
export interface SvidRequest {
  /** SPKI of the key to certify, DER. */
  readonly publicKey: Uint8Array;
  readonly spiffeId: string;
}

/** The mesh's own CA. Its key never leaves the config-server. */
export interface Authority {
  readonly trustDomain: string;
  readonly bundle: TrustBundle;
  /** {@link bundle}, as it changes. */
  readonly bundles: Watched<TrustBundle>;
  /**
   * SHA-256 of roots' SubjectPublicKeyInfo, base64url: what join tokens pin. First the root that the config-server's own
   * certificate leads to, then those that will follow it.
   */
  readonly pins: readonly [string, ...string[]];
  readonly rotation: RootRotation;
  /** An X.509-SVID for a member. A leaf never outlives its issuer. @throws SigningFailed; RangeError when the issuer ended. */
  issueSvid(request: SvidRequest): Promise<IssuedCertificate>;
  /** A certificate and key for the config-server's own listeners. @throws as {@link issueSvid} */
  issueServerCertificate(hosts: readonly string[]): Promise<ServerCertificate>;
  /** Says whose X.509-SVID of this mesh it is, or why it is none. Checks the chain, the times, the uses and the one URI SAN. */
  verifySvid(certificate: X509Certificate): SvidVerdict;
  /** What people should know of the CA's own certificates: that one comes near its end. */
  warnings(): readonly string[];
  /** Ends what the authority does by itself. */
  close(): void;
}

/** The steps that replace the root. Each is written before it counts, and survives a restart. */
export interface RootRotation {
  readonly phase: RotationPhase;
  /** All roots of the own trust domain, also the one that is trusted nowhere yet. */
  readonly roots: readonly RootRecord[];
  /** Makes a new root, which nobody trusts yet. @throws RotationRefused */
  prepare(): Promise<RootRecord>;
  /** Puts the new root into the bundle. @throws RotationRefused */
  distribute(): Promise<void>;
  /** Signs with the new root. Whoever calls it has made sure that all members trust it. @throws RotationRefused */
  activate(): Promise<void>;
  /** Takes the old root out of the bundle and forgets its key. @throws RotationRefused while leaves under it live, unless forced. */
  retire(force: boolean): Promise<void>;
  /** Gives a new root up that has signed nothing. @throws RotationRefused */
  abort(): Promise<void>;
}

/** What the config-server's own listeners present. */
export interface ServerCertificate {
  /** The leaf, then the root: a member that holds nothing but a pin finds the key it pins in the chain. */
  readonly chain: string;
  /** PKCS#8 PEM. */
  readonly privateKey: string;
  /** Milliseconds since 1970. */
  readonly notAfterMs: number;
}

/** The outcome of checking a certificate. */
export type SvidVerdict =
  | {
      readonly valid: true;
      readonly spiffeId: string;
      /** As Node prints it: hexadecimal, upper case. */
      readonly serial: string;
      /** Milliseconds since 1970. */
      readonly notAfterMs: number;
      /** Id of the root that it leads to. */
      readonly root: string;
    }
  | { readonly valid: false; readonly reason: string };
