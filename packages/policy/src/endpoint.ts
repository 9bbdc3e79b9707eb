/**
 * How a connection to an endpoint is made: `mtls` between members, `plaintext` for instances that have not moved into
 * the mesh, `tls` for one-sided TLS.
 */
export type Transport = "mtls" | "plaintext" | "tls";

/** Whether new calls may go to an endpoint. The words are those of Envoy's EDS health status. */
export type EndpointHealth = "healthy" | "draining" | "unhealthy" | "stale";

/** The greatest weight of an endpoint; the least is 1. */
export const MAX_ENDPOINT_WEIGHT = 1_000;

/** One address where one instance of a service answers, as the registry tells it. */
export interface Endpoint {
  /** The instance's id; stable across a restart where the platform gives one (pod name), else drawn at start. */
  readonly id: string;
  /** An IP address or a host name. */
  readonly address: string;
  /** The port that the instance listens on (1 to 65535); the service port of URLs is the service's matter. */
  readonly port: number;
  readonly transport: Transport;
  /** Labels of the workload, such as `{ version: "v1" }`; subsets select by them. */
  readonly labels: Readonly<Record<string, string>>;
  readonly health: EndpointHealth;
  /** The service account that registered it; with `mtls` the peer must prove an identity that the service names. */
  readonly serviceAccount: string;
  /** The name that one-sided TLS asks for, and that the certificate must hold. Default the address, where it is a name. */
  readonly servername?: string;
  /** Share of traffic relative to its siblings. Default 1; range 1 to 1000. */
  readonly weight?: number;
  readonly locality?: {
    readonly region?: string;
    readonly zone?: string;
    readonly subzone?: string;
  };
}
