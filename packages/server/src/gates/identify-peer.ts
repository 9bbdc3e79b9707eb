import { knownConnection, strangerConnection } from "../connection.ts";
import { forwardPeer, stripStrangersHeaders } from "../control-headers.ts";
import type { Gate } from "../gate.ts";

const nobody = strangerConnection({ remoteAddress: undefined }, "plaintext");

/**
 * Tells who calls, as the handshake proved it, and takes from strangers the headers that only peers may say. Refuses
 * nobody: a caller without identity is a stranger, and what strangers may do is for the gates below.
 */
export const identifyPeer =
  (options: { readonly touchHeaders: boolean }): Gate =>
  (visit) => {
    const { request } = visit;
    const connection = knownConnection(request.socket) ?? nobody;
    visit.peer = connection.peer;
    visit.trusted = connection.trusted;
    if (options.touchHeaders) {
      if (!connection.trusted) stripStrangersHeaders(request);
      if (connection.forwardedClientCert !== undefined) forwardPeer(request, connection.forwardedClientCert);
    }
    return undefined;
  };
