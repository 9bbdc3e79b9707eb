import { once } from "node:events";
import { duplexPair } from "node:stream";
import { connect, TLSSocket } from "node:tls";

/** A certificate with its key and the roots it must lead to. */
export interface ProvenChain {
  /** Leaf, then intermediates, PEM. */
  readonly chain: string;
  /** PEM. */
  readonly privateKey: string;
  /** PEM. */
  readonly roots: readonly string[];
}

/**
 * Proves a chain as every peer will: by a handshake in memory with itself, as server and as client. OpenSSL checks path
 * length, name constraints, key usage and times, none of which is worth writing a second time.
 *
 * @throws Error with OpenSSL's word for what is wrong.
 */
export const proveChain = async ({ chain, privateKey, roots }: ProvenChain): Promise<void> => {
  const [here, there] = duplexPair();
  const identity = { cert: chain, key: privateKey, ca: [...roots] };
  const server = new TLSSocket(there, { ...identity, isServer: true, requestCert: true, rejectUnauthorized: false });
  const client = connect({
    ...identity,
    socket: here,
    checkServerIdentity: () => undefined,
    rejectUnauthorized: false,
  });
  for (const socket of [server, client]) socket.on("error", () => undefined);
  try {
    await Promise.all([once(client, "secureConnect"), once(server, "secure")]);
    // Node's types call it an Error; it is a code's text.
    const problem = client.authorizationError ?? server.authorizationError;
    const verified = client.authorized && (server.authorized || server.authorizationError === null);
    if (!verified) throw new Error(String(problem ?? "the chain is not verified"));
  } finally {
    client.destroy();
    server.destroy();
    here.destroy();
    there.destroy();
  }
};
