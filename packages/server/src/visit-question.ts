import { TLSSocket } from "node:tls";
import type { AccessQuestion, VerifiedToken } from "@tulle/policy";
import type { Peer, Visit } from "./gate.ts";
import { remoteAddressOf } from "./remote-address.ts";

const SCHEME_LENGTH = "spiffe://".length;

/** A visit as access policies see it. What few of them ask for is found only when one does. */
export class VisitQuestion implements AccessQuestion {
  readonly principal: string | undefined;
  readonly trustDomain: string | undefined;
  readonly namespace: string | undefined;
  readonly serviceAccount: string | undefined;
  readonly address: string | undefined;
  readonly method: string;
  readonly path: string;
  route: string | undefined;
  routeMount: string | undefined;
  routeDoubt: "against" | "for" | undefined;
  readonly #visit: Visit;
  readonly #trustedProxies: number;

  constructor(visit: Visit, peer: Peer, trustedProxies: number) {
    this.principal = peer.spiffeId?.slice(SCHEME_LENGTH);
    this.trustDomain = peer.trustDomain;
    this.namespace = peer.namespace;
    this.serviceAccount = peer.serviceAccount;
    this.address = peer.address;
    this.method = visit.method;
    this.path = visit.path;
    this.#visit = visit;
    this.#trustedProxies = trustedProxies;
  }

  get token(): VerifiedToken | undefined {
    return this.#visit.token;
  }

  get remoteAddress(): string | undefined {
    return remoteAddressOf(this.header("x-forwarded-for"), this.address, this.#trustedProxies);
  }

  get destinationAddress(): string | undefined {
    return this.#visit.request.socket.localAddress;
  }

  get port(): number | undefined {
    return this.#visit.request.socket.localPort;
  }

  get sni(): string | undefined {
    const { socket } = this.#visit.request;
    // False and null where the caller named nobody.
    const name: unknown = socket instanceof TLSSocket ? Reflect.get(socket, "servername") : undefined;
    return typeof name === "string" ? name : undefined;
  }

  get host(): string | undefined {
    return this.#header(":authority") ?? this.#header("host");
  }

  /** The function is read off the question before it is called. */
  readonly header = (name: string): string | undefined => {
    if (name === ":authority" || name === "host") return this.host;
    if (name === ":method") return this.method;
    if (name === ":path") return this.#visit.request.url;
    if (name === ":scheme") return this.#visit.request.socket instanceof TLSSocket ? "https" : "http";
    return this.#header(name);
  };

  #header(name: string): string | undefined {
    const { headers } = this.#visit.request;
    const value = Object.hasOwn(headers, name) ? headers[name] : undefined;
    return typeof value === "string" ? value : value?.join(",");
  }
}
