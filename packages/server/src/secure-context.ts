import { constants } from "node:crypto";
import { createServer, type SecureContextOptions, type Server } from "node:tls";
import type { Credentials } from "@tulle/policy";
import type { Watched } from "@tulle/time";

/** A handshake that takes longer is given up. Node's own default is two minutes. */
const HANDSHAKE_TIMEOUT_MS = 10_000;

/** What one generation of credentials says to OpenSSL. */
export const secureContextOf = (credentials: Credentials): SecureContextOptions => ({
  cert: credentials.certificateChain,
  key: credentials.privateKey,
  // All domains' roots: OpenSSL cannot tell them apart. Which of them may speak for a peer is verify-peer's matter.
  ca: credentials.bundles.flatMap(({ roots }) => [...roots]),
  // Members all speak it, and with it certificates and thereby identities travel encrypted.
  minVersion: "TLSv1.3",
  // A resumed session would carry on an identity that was verified long ago.
  secureOptions: constants.SSL_OP_NO_TICKET,
});

const offered = (h2: boolean): readonly string[] => (h2 ? ["h2", "http/1.1"] : ["http/1.1"]);

/**
 * The TLS side of a mesh port. It does not listen: connections are handed to it by the event "connection". Certificates
 * are replaced without a restart; open connections keep theirs until they are retired.
 *
 * @param speaksH2 asked at each handshake. HTTP/1.1 is spoken beside HTTP/2, for health checks and older members.
 *
 * Peers without a good certificate pass the handshake and are refused right after it, by verify-peer: so each reason has
 * its own code, which a handshake that OpenSSL breaks off would not tell reliably.
 */
export const createTlsSide = (
  credentials: Watched<Credentials | undefined>,
  speaksH2: () => boolean,
  handshakeTimeout: number = HANDSHAKE_TIMEOUT_MS,
): { server: Server; close: () => void } => {
  const { current } = credentials;
  const server = createServer({
    ...(current === undefined ? {} : secureContextOf(current)),
    requestCert: true,
    rejectUnauthorized: false,
    handshakeTimeout,
    // Who offers something else alone is refused by the handshake.
    ALPNCallback: ({ protocols }) => offered(speaksH2()).find((each) => protocols.includes(each)),
  });
  const close = credentials.subscribe((next) => {
    if (next !== undefined) server.setSecureContext(secureContextOf(next));
  });
  return { server, close };
};
