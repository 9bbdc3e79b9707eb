import { createHash, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { type ConnectionOptions, connect, type DetailedPeerCertificate, type TLSSocket } from "node:tls";
import { configServerIdentity } from "@tulle/protocol";
import type { Clock } from "@tulle/time";
import { ConnectFailure } from "./connect-failure.ts";
import type { ServerAddress } from "./server-address.ts";

/** What a member believes and shows when it dials the config-server. */
export interface PeerTrust {
  readonly trustDomain: string;
  /** Roots of that trust domain, PEM. */
  readonly roots: readonly string[];
  /** The member's own certificate, for mTLS. */
  readonly identity?: { readonly certificateChain: string; readonly privateKey: string };
}

/** What dialling needs of its surroundings. */
export interface Dialling {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Ends the attempt. */
  readonly signal: AbortSignal;
}

/**
 * Opens a TLS connection to the config-server and proves that it is the one of our trust domain: its chain leads to one of
 * the roots, and its certificate says the config-server's SPIFFE ID. Nothing is sent before that.
 *
 * @throws ConnectFailure `unreachable` or `untrusted`.
 */
export const dialConfigServer = (address: ServerAddress, trust: PeerTrust, dialling: Dialling): Promise<TLSSocket> =>
  dial(
    address,
    {
      ca: [...trust.roots],
      checkServerIdentity: (_host, certificate) => checkIdentity(certificate.raw, trust.trustDomain),
      ...(trust.identity === undefined
        ? {}
        : { cert: trust.identity.certificateChain, key: trust.identity.privateKey }),
    },
    dialling,
  );

/**
 * Learns the root behind a pin: looks at the chain that the server shows, and takes from it the root whose key hashes to one
 * of the pins. The connection is closed without a word; whether the server holds a certificate of that root is proven by
 * {@link dialConfigServer}, by OpenSSL's own verification.
 *
 * @returns the root, PEM.
 * @throws ConnectFailure `unreachable`; `untrusted` naming the pins.
 */
export const learnPinnedRoot = async (
  address: ServerAddress,
  pins: readonly string[],
  dialling: Dialling,
): Promise<string> => {
  // The only connection without verification: it is asked for its chain, told nothing, and closed.
  const socket = await dial(address, { rejectUnauthorized: false }, dialling);
  const chain = chainOf(socket.getPeerCertificate(true));
  socket.destroy();
  const pinned = chain.find((certificate) => pins.includes(pinOf(certificate)));
  if (pinned !== undefined) return pinned.toString();
  const root = chain.at(-1);
  throw new ConnectFailure(
    "untrusted",
    `${address.url} shows a root whose pin is ${root === undefined ? "missing" : pinOf(root)}, the token's pin is ${pins.join(" or ")}: ` +
      "it is another mesh's config-server or another's token, or the root was rotated since the token was made: create a new one",
  );
};

/** SHA-256 of a certificate's SubjectPublicKeyInfo, base64url. */
export const pinOf = (certificate: X509Certificate): string =>
  createHash("sha256")
    .update(certificate.publicKey.export({ type: "spki", format: "der" }))
    .digest("base64url");

/** The URIs among a certificate's alternative names. */
export const uriNames = (certificate: X509Certificate): readonly string[] =>
  // Node quotes a name that holds a comma, so none can pretend to be several.
  (certificate.subjectAltName ?? "")
    .split(", ")
    .filter((name) => name.startsWith("URI:"))
    .map((name) => name.slice("URI:".length));

const checkIdentity = (der: Uint8Array, trustDomain: string): Error | undefined => {
  const expected = configServerIdentity(trustDomain);
  const names = uriNames(new X509Certificate(der));
  return names.length === 1 && names[0] === expected
    ? undefined
    : new Error(`its certificate says [${names.join(", ")}], not ${expected}`);
};

const chainOf = (leaf: DetailedPeerCertificate): readonly X509Certificate[] => {
  const chain: X509Certificate[] = [];
  const seen = new Set<string>();
  // A self-signed certificate is its own issuer; the end of an incomplete chain has none.
  let next: DetailedPeerCertificate | undefined = leaf;
  while (next?.raw !== undefined && !seen.has(next.fingerprint256)) {
    seen.add(next.fingerprint256);
    chain.push(new X509Certificate(next.raw));
    next = next.issuerCertificate;
  }
  return chain;
};

const dial = (
  address: ServerAddress,
  options: ConnectionOptions,
  { clock, timeoutMs, signal }: Dialling,
): Promise<TLSSocket> =>
  new Promise((resolve, reject) => {
    const socket = connect({
      host: address.host,
      port: address.port,
      minVersion: "TLSv1.3",
      ALPNProtocols: ["http/1.1"],
      // RFC 6066 allows no address as a server name.
      ...(isIP(address.host) === 0 ? { servername: address.host } : {}),
      ...options,
    });
    // The connection to the config-server never keeps a process alive whose own work is done.
    socket.unref();
    // An error between two listeners, or after the end, must not end the process; `close` follows each.
    socket.on("error", () => undefined);
    const fail = (failure: ConnectFailure): void => {
      settle();
      socket.destroy();
      reject(failure);
    };
    const timer = clock.after(timeoutMs, () =>
      fail(new ConnectFailure("unreachable", `no TLS connection to ${address.url} within ${timeoutMs} ms`)),
    );
    const onAbort = (): void => fail(new ConnectFailure("unreachable", `dialling ${address.url} was given up`));
    const onError = (error: Error): void => {
      // Node sets it when a handshake was completed and then not believed, in contrast to one that failed on the way.
      const kind = socket.authorizationError ? "untrusted" : "unreachable";
      fail(new ConnectFailure(kind, `${address.url}: ${error.message}${clockHint(error)}`, { cause: error }));
    };
    const onClose = (): void => fail(new ConnectFailure("unreachable", `${address.url} closed the connection`));
    const onSecure = (): void => {
      settle();
      resolve(socket);
    };
    const settle = (): void => {
      timer.cancel();
      signal.removeEventListener("abort", onAbort);
      socket.off("error", onError).off("close", onClose).off("secureConnect", onSecure);
    };
    socket.on("error", onError).on("close", onClose).on("secureConnect", onSecure);
    signal.addEventListener("abort", onAbort, { once: true });
    if (signal.aborted) onAbort();
  });

/** What people may look at when a certificate's times are wrong: it is often their own clock. */
const clockHint = (error: Error & { readonly code?: string }): string =>
  error.code === "CERT_NOT_YET_VALID" || error.code === "CERT_HAS_EXPIRED"
    ? " (if the certificate is good, the clock of this machine is not)"
    : "";
