// For services: listening and what a listener tells.

export type { AccessSample } from "./access-notes.ts";
export type { ListenApp } from "./application.ts";
// For the other packages of the mesh: whether a snapshot can be enforced, and the headers that this side says and hears.
export { checkInbound } from "./check-inbound.ts";
export { CLIENT_CERT_HEADER, DRAIN_HEADER, REFUSED_HEADER } from "./control-headers.ts";
export { createServer, type MeshServer, type ServerMode, type ServerOptions } from "./create-server.ts";
export type { AuthorizerAnswer, AuthorizerCall, SendToAuthorizer } from "./external-authorizers.ts";
export type { FoundRoute, ListenerKind, Peer, Permit, Visit } from "./gate.ts";
export type { ListenOptions, MeshListener } from "./listen.ts";
export type { DrainReport } from "./listener/drain.ts";
export type { PublicListenOptions } from "./listener/public-port.ts";
export type { MeshVisit } from "./mesh-visit.ts";
export type { PlaintextCaller } from "./plaintext-callers.ts";
export type { FetchKeys, KeyStorage } from "./tokens/remote-keys.ts";

// The adapters have their own entries, so that nobody needs the types of a framework that is not installed:
// @tulle/server/express, @tulle/server/fastify, @tulle/server/node-http.
