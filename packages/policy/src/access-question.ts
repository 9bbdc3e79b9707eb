import type { VerifiedToken } from "./verified-token.ts";

/** What a call shows of itself to the access policies of the service that it reached. */
export interface AccessQuestion {
  /** The verified SPIFFE ID without `spiffe://`; absent for callers that proved nothing. */
  readonly principal?: string | undefined;
  /** The trust domain of that identity. */
  readonly trustDomain?: string | undefined;
  /** The namespace of that identity, where it has the form of a workload's. */
  readonly namespace?: string | undefined;
  /** The service account of that identity, where it has the form of a workload's. */
  readonly serviceAccount?: string | undefined;
  /** What a verified token says of the end user. */
  readonly token?: VerifiedToken | undefined;
  /** IP address that the connection comes from. */
  readonly address?: string | undefined;
  /** IP address of the first caller, before the proxies that are trusted. */
  readonly remoteAddress?: string | undefined;
  /** IP address that the connection came to. */
  readonly destinationAddress?: string | undefined;
  /** The port that the connection came to. */
  readonly port?: number | undefined;
  /** The name by which the caller began TLS. */
  readonly sni?: string | undefined;
  /** The authority as the caller wrote it. */
  readonly host?: string | undefined;
  /** Upper case. */
  readonly method: string;
  /** As `pathForRules` gives it: without query, normalised. */
  readonly path: string;
  /** The route template that the framework found for the call; absent where it found none. */
  readonly route?: string | undefined;
  /** The beginning of `route`, where it stands there as it was requested and not as a template. @default none */
  readonly routeMount?: string | undefined;
  /**
   * Set while the framework was not asked yet: `against` takes every rule that names routes in the way that lets in fewer calls,
   * `for` in the way that lets in more.
   */
  readonly routeDoubt?: "against" | "for" | undefined;
  /** A header by its lower-case name, several values joined; also `:authority`, `:method`, `:path` and `:scheme`. */
  readonly header?: ((name: string) => string | undefined) | undefined;
}

/** Whether something fits a call. */
export type AccessTest = (question: AccessQuestion) => boolean;
