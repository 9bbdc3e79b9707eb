import { knownConnection } from "../connection.ts";
import type { Gate, Refusal } from "../gate.ts";

const plaintext: Refusal = {
  code: "PLAINTEXT_REFUSED",
  detail: "the service demands mTLS and was called in plaintext",
};

const absent: Refusal = { code: "PEER_ABSENT", detail: "the service demands mTLS and the caller proved no identity" };

/**
 * Demands an identity where the mode is strict. The mesh's own port demands it at the handshake already; here it counts
 * for listeners that the service keeps itself, and for connections that were open when the mode became strict.
 */
export const requireMtls: Gate = (visit) => {
  if (visit.mtls !== "strict" || visit.listener === "public" || visit.peer?.spiffeId !== undefined) return undefined;
  if (visit.peer?.transport !== "tls") return plaintext;
  return knownConnection(visit.request.socket)?.flaw ?? absent;
};
