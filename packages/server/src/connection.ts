import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { isOfTrustDomain, parseSpiffeId, parseWorkloadIdentity } from "@tulle/policy";
import type { Peer, Refusal } from "./gate.ts";
import type { SharedConnection } from "./shared-connection.ts";

/** What is known of one socket, found once and not per request. */
export interface Connection {
  readonly peer: Peer;
  /** Whether the peer proved an identity of our own trust domain, under whatever name of it. */
  readonly trusted: boolean;
  /** Why its certificate proved nothing, where a listener of the service's own let it in all the same. */
  readonly flaw: Refusal | undefined;
  /** What `x-forwarded-client-cert` says to the handler; only of proven peers. */
  readonly forwardedClientCert: string | undefined;
  /** Set shortly before the connection must end: from now on every reply closes it. */
  retiring: boolean;
  /** Visits that are under way on it. */
  visits: number;
  /** How it is ended where many exchanges share it; `undefined` where a reply can close it, on HTTP/1.1. */
  shared?: SharedConnection | undefined;
}

const connectionKey = Symbol("tulle.connection");

// A property of the socket and not a WeakMap: it is read with every request.
type KnownSocket = Duplex & { [connectionKey]?: Connection };

/** Ties what is known to the socket; it is forgotten together with it. */
export const rememberConnection = (socket: Duplex, connection: Connection): void => {
  (socket as KnownSocket)[connectionKey] = connection;
};

/** What is known of a socket, or `undefined` before anybody looked. */
export const knownConnection = (socket: Duplex): Connection | undefined => (socket as KnownSocket)[connectionKey];

/** A connection whose peer proved nothing. */
export const strangerConnection = (
  socket: Pick<IncomingMessage["socket"], "remoteAddress">,
  transport: "tls" | "plaintext",
  flaw?: Refusal,
): Connection => ({
  peer: {
    spiffeId: undefined,
    trustDomain: undefined,
    namespace: undefined,
    serviceAccount: undefined,
    address: socket.remoteAddress,
    transport,
  },
  trusted: false,
  flaw,
  forwardedClientCert: undefined,
  retiring: false,
  visits: 0,
});

/** A connection whose peer proved a SPIFFE ID. @param ownNames all names of the own trust domain */
export const provenConnection = (
  socket: Pick<IncomingMessage["socket"], "remoteAddress">,
  spiffeId: string,
  own: { readonly spiffeId: string },
  ownNames: readonly string[] = [],
): Connection => {
  const workload = parseWorkloadIdentity(spiffeId);
  const trustDomain = parseSpiffeId(spiffeId)?.trustDomain;
  return {
    peer: {
      spiffeId,
      trustDomain,
      namespace: workload?.namespace,
      serviceAccount: workload?.serviceAccount,
      address: socket.remoteAddress,
      transport: "mtls",
    },
    trusted:
      trustDomain !== undefined && (isOfTrustDomain(own.spiffeId, trustDomain) || ownNames.includes(trustDomain)),
    flaw: undefined,
    forwardedClientCert: `By=${own.spiffeId};URI=${spiffeId}`,
    retiring: false,
    visits: 0,
  };
};
