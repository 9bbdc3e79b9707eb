import { connect, createSecureContext, type SecureContext, type TLSSocket } from "node:tls";
import {
  type Credentials,
  isRevoked,
  MeshError,
  parseSpiffeId,
  type Revocations,
  withSameIdentity,
  workloadIdentity,
} from "@tulle/policy";
import { peerIdentity } from "./peer-identity.ts";

/** Who may answer at an endpoint: one of a service's accounts, in the caller's own trust domain under any of its names. */
export interface ExpectedPeer {
  readonly namespace: string;
  readonly serviceAccounts: readonly string[];
}

/** One generation of credentials, ready for handshakes. */
interface Generation {
  readonly credentials: Credentials;
  /** Whose roots the context trusts, and no others: a chain is never verified against all roots together. */
  readonly trustDomain: string;
  readonly context: SecureContext;
}

/**
 * The calling side of mTLS. One TLS context per generation of credentials, shared by all endpoints, since making one costs
 * a third of a handshake. Sessions are neither kept nor offered: on a resumed session the peer is not checked.
 */
export class MutualTls {
  readonly #meshNames: () => readonly string[];
  readonly #open = new Map<TLSSocket, { readonly serial: string; readonly spiffeId: string }>();
  #generation: Generation | undefined;
  #revoked: Revocations | undefined;

  /** @param meshNames of the mesh's trust domain, the present one first, then its aliases. */
  constructor(meshNames: () => readonly string[] = () => []) {
    this.#meshNames = meshNames;
  }

  /** Starts a handshake with the present generation; the socket is not to be used before {@link refusal} was asked. */
  open(
    credentials: Credentials,
    target: { readonly address: string; readonly port: number; readonly servername: string },
    alpn: readonly string[],
  ): TLSSocket {
    return connect({
      host: target.address,
      port: target.port,
      servername: target.servername,
      secureContext: this.#current(credentials).context,
      rejectUnauthorized: true,
      // Names of hosts prove nothing in the mesh; `refusal` compares SPIFFE IDs.
      checkServerIdentity: () => undefined,
      ALPNProtocols: [...alpn],
    });
  }

  /** What is wrong with the peer of a finished handshake, or `undefined` when it is one of those expected. */
  refusal(socket: TLSSocket, credentials: Credentials, expected: ExpectedPeer, where: string): MeshError | undefined {
    const { trustDomain } = this.#current(credentials);
    const domains = namesOf(trustDomain, this.#meshNames());
    const allowed = expected.serviceAccounts.flatMap((account) =>
      domains.map((domain) => workloadIdentity(domain, expected.namespace, account)),
    );
    const certificate = socket.getPeerX509Certificate();
    if (certificate === undefined) return mismatch(where, allowed, "no certificate, for the session was resumed");
    const found = peerIdentity(certificate);
    if (found.spiffeId === undefined)
      return mismatch(where, allowed, `a certificate that names nobody: ${found.problem}`);
    // The chain was verified against the roots of one domain, so it proves names of that domain alone.
    if (!domains.includes(found.trustDomain) || !allowed.includes(found.spiffeId))
      return mismatch(where, allowed, found.spiffeId);
    const peer = { serial: certificate.serialNumber, spiffeId: found.spiffeId };
    if (isRevoked(this.#revoked ?? credentials.revoked, peer, domains))
      return mismatch(where, allowed, `${found.spiffeId} with the certificate ${peer.serial}, which was revoked`);
    this.#open.set(socket, peer);
    socket.once("close", () => this.#open.delete(socket));
    return undefined;
  }

  /** Ends the connections to revoked peers at once, with whatever is under way on them, and makes no new ones. */
  revoke(revoked: Revocations | undefined): void {
    if (revoked === this.#revoked) return;
    this.#revoked = revoked;
    for (const [socket, peer] of [...this.#open]) if (isRevoked(revoked, peer, this.#meshNames())) socket.destroy();
  }

  #current(credentials: Credentials): Generation {
    if (this.#generation === undefined || !withSameIdentity(this.#generation.credentials, credentials))
      this.#generation = prepare(credentials, this.#meshNames());
    return this.#generation;
  }
}

/** A certificate may still name an alias when the mesh has a new name already. */
const namesOf = (trustDomain: string, meshNames: readonly string[]): readonly string[] =>
  meshNames.includes(trustDomain) ? meshNames : [trustDomain];

/** @throws MeshError IDENTITY_MISMATCH when the credentials bring no roots of their own trust domain. */
const prepare = (credentials: Credentials, meshNames: readonly string[]): Generation => {
  const trustDomain = parseSpiffeId(credentials.spiffeId)?.trustDomain ?? "";
  // Under an alias somebody else's roots may have been brought.
  const bundle = [...namesOf(trustDomain, meshNames).slice(0, 1), trustDomain]
    .map((name) => credentials.bundles.find((each) => each.trustDomain === name))
    .find((each) => each !== undefined);
  if (bundle === undefined || bundle.roots.length === 0) {
    throw new MeshError("IDENTITY_MISMATCH", {
      message: `nobody's identity can be checked: generation ${credentials.generation} of the credentials has no root of the trust domain "${trustDomain}"`,
    });
  }
  const context = createSecureContext({
    key: credentials.privateKey,
    cert: credentials.certificateChain,
    ca: [...bundle.roots],
    minVersion: "TLSv1.3",
  });
  return { credentials, trustDomain, context };
};

/** The words of OpenSSL and Node.js for a chain that leads nowhere or is out of date, and for a host name that it does not hold. */
const unverified = new Set([
  "CERT_HAS_EXPIRED",
  "CERT_NOT_YET_VALID",
  "CERT_SIGNATURE_FAILURE",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "INVALID_PURPOSE",
  "INVALID_CA",
  "CERT_UNTRUSTED",
  "CERT_REJECTED",
  "CERT_CHAIN_TOO_LONG",
  "PATH_LENGTH_EXCEEDED",
  "ERR_TLS_CERT_ALTNAME_INVALID",
]);

/** Whether a handshake failed because the peer's chain could not be verified, by the error's code. */
export const isUnverifiedPeer = (code: string | undefined): boolean => code !== undefined && unverified.has(code);

const mismatch = (where: string, allowed: readonly string[], found: string): MeshError =>
  new MeshError("IDENTITY_MISMATCH", {
    message: `${where} should prove to be ${allowed.join(" or ")}, but showed ${found}`,
    hint: "the Service policy's serviceAccounts names who may answer",
  });
