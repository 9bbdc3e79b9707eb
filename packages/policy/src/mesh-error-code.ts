/**
 * The closed list of what the mesh itself may answer or fail with. `flag` is Envoy's response flag where one fits, ours
 * (longer than three letters or marked in docs/errors.md) where none does; `status` is what a proxy would have answered.
 * A retired code is never reused.
 */
export const meshErrorCodes = {
  /** No rule of the service's routes matches the call, and the route refuses unmatched calls. */
  NO_ROUTE: { flag: "NR", status: 404, side: "client" },
  /** The host looks like a name of the mesh, but no such service exists or it could not be learned in time. */
  UNKNOWN_SERVICE: { flag: "NC", status: 503, side: "client" },
  /** The member has not received the mesh's names yet, so a short name can be neither routed nor passed on. */
  NAMES_UNKNOWN: { flag: "NC", status: 503, side: "client" },
  /** The host is outside the mesh and the outbound mode is registry-only. */
  OUTSIDE_REFUSED: { flag: "NR", status: 502, side: "client" },
  /** The service, or the subset that the split drew, has no endpoint that may be called. */
  NO_HEALTHY_ENDPOINT: { flag: "UH", status: 503, side: "client" },
  /** DNS told no address of a host outside the mesh. */
  DNS_FAILED: { flag: "DF", status: 503, side: "client" },
  /** No connection to the endpoint could be made. */
  CONNECT_FAILED: { flag: "UF", status: 503, side: "client" },
  /** The endpoint's certificate does not prove an identity that the service names. */
  IDENTITY_MISMATCH: { flag: "UF", status: 503, side: "client" },
  /** The endpoint closed the connection before it answered; with TLS 1.3 also when it refused our certificate. */
  CONNECTION_TERMINATED: { flag: "UC", status: 503, side: "client" },
  /** The reply's body broke off, or the protocol was violated. */
  REPLY_BROKEN: { flag: "UPE", status: 502, side: "client" },
  /** One attempt took longer than its limit, and no other was allowed. */
  ATTEMPT_TIMEOUT: { flag: "UT", status: 504, side: "client" },
  /** The call's time ran out. */
  DEADLINE_EXCEEDED: { flag: "UT", status: 504, side: "client" },
  /** The deadline inherited from the visit had passed before the call began. */
  DEADLINE_SPENT: { flag: "UT", status: 504, side: "client" },
  /** The call with its body took longer than the greatest duration that is allowed. */
  MAX_DURATION_EXCEEDED: { flag: "UMSDR", status: 504, side: "client" },
  /** The reply's body was silent for longer than the idle limit. */
  IDLE_TIMEOUT: { flag: "SI", status: 504, side: "client" },
  /** The destination's circuit is open. */
  CIRCUIT_OPEN: { flag: "UO", status: 503, side: "client" },
  /** The destination rejects many calls, so the client itself refuses part of them. */
  THROTTLED: { flag: "THROTTLED", status: 503, side: "client" },
  /** No connection is to be had, and the policy lets no call wait for one. */
  OVERFLOW_CONNECTIONS: { flag: "UO", status: 503, side: "client" },
  /** Too many calls wait for a connection. */
  OVERFLOW_PENDING: { flag: "UO", status: 503, side: "client" },
  /** Too many calls to the destination are under way. */
  OVERFLOW_REQUESTS: { flag: "UO", status: 503, side: "client" },
  /** The retry budget refused a retry. Callers get the last reply or failure; explanations name this as the reason. */
  OVERFLOW_RETRIES: { flag: "UO", status: 503, side: "client" },
  /** A peer in the mesh refused the call before any handler saw it, and it could not be repeated elsewhere. */
  REFUSED_UNPROCESSED: { flag: "UR", status: 503, side: "client" },
  /** The mesh was left or closed. */
  MESH_CLOSED: { flag: "LR", status: 503, side: "client" },
  /** Options or a call that cannot be understood, such as a URL that is none. */
  INVALID_CALL: { flag: "DPE", status: 400, side: "client" },
  /** The caller's certificate chains to no root of its trust domain. */
  PEER_UNTRUSTED: { flag: "PEER_UNTRUSTED", status: 403, side: "server" },
  /** The caller's certificate is expired or not yet valid. */
  PEER_EXPIRED: { flag: "PEER_EXPIRED", status: 403, side: "server" },
  /** The caller's certificate, or its identity, was revoked. */
  PEER_REVOKED: { flag: "PEER_REVOKED", status: 403, side: "server" },
  /** The caller showed no certificate where one is demanded. */
  PEER_ABSENT: { flag: "PEER_ABSENT", status: 403, side: "server" },
  /** The caller spoke plaintext, or something that is neither TLS nor HTTP, to a listener that wants mTLS. */
  PLAINTEXT_REFUSED: { flag: "PLAINTEXT_REFUSED", status: 403, side: "server" },
  /** A token of an end user is malformed, of an unknown issuer, wrongly signed, expired or not yet valid. */
  TOKEN_INVALID: { flag: "TOKEN_INVALID", status: 401, side: "server" },
  /** A rule requires a token of an end user, and the request carries none that it believes. */
  TOKEN_MISSING: { flag: "TOKEN_MISSING", status: 401, side: "server" },
  /** A token of an end user is good, but for another audience. */
  TOKEN_AUDIENCE_REFUSED: { flag: "TOKEN_AUDIENCE_REFUSED", status: 403, side: "server" },
  /** A token of an end user cannot be checked, because the keys of its issuer cannot be had. */
  TOKEN_KEYS_UNAVAILABLE: { flag: "TOKEN_KEYS_UNAVAILABLE", status: 401, side: "server" },
  /** Access does not allow the call. */
  ACCESS_DENIED: { flag: "ACCESS_DENIED", status: 403, side: "server" },
  /** The member has no inbound policy yet, so nothing is served. */
  NOT_READY: { flag: "NOT_READY", status: 503, side: "server" },
  /** The listener is draining and refuses new work that it has not begun. */
  DRAINING: { flag: "DRAINING", status: 503, side: "server" },
  /** The caller's time was spent before the handler began. */
  VISIT_DEADLINE_SPENT: { flag: "DT", status: 504, side: "server" },
  /** The request's path or control headers are malformed. */
  INVALID_REQUEST: { flag: "IH", status: 400, side: "server" },
  /** The Service policy says a protocol in which the application cannot be served. */
  PROTOCOL_UNSERVED: { flag: "PROTOCOL_UNSERVED", status: 503, side: "server" },
  /** Joining the mesh failed: token, pin, reachability or policy of the config-server. */
  JOIN_REFUSED: { flag: "JOIN", status: 503, side: "agent" },
  /** The config-server could not be reached in time. */
  JOIN_TIMEOUT: { flag: "JOIN", status: 503, side: "agent" },
} as const;

/** A code of {@link meshErrorCodes}. */
export type MeshErrorCode = keyof typeof meshErrorCodes;
