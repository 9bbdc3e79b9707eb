import { knownConnection, strangerConnection } from "../connection.ts";
import { forwardPeer, stripStrangersHeaders } from "../control-headers.ts";
import type { ServerCounters } from "../counters.ts";
import type { Gate } from "../gate.ts";

const nobody = strangerConnection({ remoteAddress: undefined }, "plaintext");

/**
 * Tells who calls, as the handshake proved it, and takes from strangers the headers that only peers may say. Refuses
 * nobody: a caller without identity is a stranger, and what strangers may do is for the gates below.
 */
export const identifyPeer =
  ({ touchHeaders, counters }: { readonly touchHeaders: boolean; readonly counters: ServerCounters }): Gate =>
  (visit) => {
    const { request } = visit;
    const connection = knownConnection(request.socket) ?? nobody;
    visit.peer = connection.peer;
    visit.trusted = connection.trusted;
    if (touchHeaders) {
      const stripped = connection.trusted ? 0 : stripStrangersHeaders(request, visit.listener !== "public");
      counters.strippedHeaders += stripped;
      if (connection.forwardedClientCert !== undefined) forwardPeer(request, connection.forwardedClientCert, stripped);
    }
    return undefined;
  };
