import { AsyncResource } from "node:async_hooks";
import type { Credentials } from "@tulle/policy";
import type { Clock, Random, Watched } from "@tulle/time";
import type { DnsCounters } from "../dns/dns-name.ts";
import { type DnsResolver, systemDnsResolver } from "../dns/dns-resolver.ts";
import { CheckSlots } from "../health/check-slots.ts";
import type { HealthCheckCounters } from "../health/health-checker.ts";
import { DEFAULT_MAX_IDLE_CONNECTIONS, IdleConnections } from "./idle-connections.ts";
import { LoopLag } from "./loop-lag.ts";
import { MutualTls } from "./mutual-tls.ts";
import { OutsideTlsDialler } from "./outside-tls.ts";

/** Connects to new endpoints that a process has under way at once, whatever service they belong to: 16. */
export const MAX_NEW_ENDPOINT_CONNECTS = 16;

/** What the transport counted since it was made. Plain integers: telemetry reads them, tests compare them. */
export interface TransportCounters extends DnsCounters, HealthCheckCounters {
  /** Sockets that became usable, handshake and peer check included. */
  connections: number;
  /** TLS handshakes that were completed, also those whose peer was then refused. */
  handshakes: number;
  /** Connects that failed: refused, timed out, or with a peer that is not who it should be. */
  connectFailures: number;
  /** Connects that were not tried because too many before them had failed. */
  connectsHeldBack: number;
  /** Connects that had to wait: for others to the same endpoint, or because sockets were lost to aborts too fast. */
  connectsDeferred: number;
  /** Times that a call got no connection of its own because the service had `maxConnections` (Envoy's `upstream_cx_overflow`). */
  connectionsAtLimit: number;
  /** Calls refused with OVERFLOW_CONNECTIONS. */
  connectionOverflows: number;
  /** Calls refused with OVERFLOW_PENDING. */
  pendingOverflows: number;
  /** Calls refused with OVERFLOW_REQUESTS. */
  requestOverflows: number;
  /** Connections that were closed because they had carried `maxRequestsPerConnection` (Envoy's `upstream_cx_max_requests`). */
  connectionsUsedUp: number;
  /** Connections that were begun before a call needed them. */
  preconnects: number;
  /** Of those, the ones that failed before a call asked for them. No call and no endpoint is charged for that. */
  preconnectFailures: number;
  /** Idle connections that were closed because the process had `maxIdleConnections`. */
  idleOverflows: number;
  /** Idle connections that were closed instead of used, because the server might have been about to close them. */
  idleRetired: number;
  /** Requests whose idle connection was closed by its peer before they were begun, and that went on over a new one. */
  unsentReplays: number;
  /** Sessions of HTTP/2 that were left because as many of their streams had been given up as servers bear. */
  resetsAtLimit: number;
  /** Endpoints that were to be called in HTTP/2 and spoke HTTP/1.1, by the connections that found out. */
  http2Fallbacks: number;
  /** Requests that undici sent again by itself. */
  undiciReplays: number;
  /** Handshakes with endpoints that owed answers and said nothing, to learn whether they live. */
  silenceProbes: number;
  /** Of those, the ones that were not answered: calls that could go elsewhere did. */
  silences: number;
  /** Replies in which an endpoint said whether it is degraded. */
  degradedHints: number;
  /** Replies whose early body filled its buffer before anybody took it. */
  earlyBodyFull: number;
  /** Departed endpoints whose last exchanges were cut off because they did not end in time. */
  drainsCutOff: number;
}

/** What all endpoint pools of a process share. */
export interface Transport {
  readonly clock: Clock;
  readonly random: Random;
  /** `undefined` until the member has its first certificate; `mtls` endpoints cannot be reached before. */
  readonly credentials: Watched<Credentials | undefined>;
  readonly mutualTls: MutualTls;
  readonly clockSkewMs: () => number;
  readonly outsideTls: OutsideTlsDialler;
  /** Where the names of hosts outside the mesh are asked for. */
  readonly resolver: DnsResolver;
  readonly counters: TransportCounters;
  readonly lag: LoopLag;
  /** Bounds the idle connections to all endpoints. */
  readonly idle: IdleConnections;
  /** Bounds the health checks of all endpoints. */
  readonly checkSlots: CheckSlots;
  /** Bounds the connects to new endpoints of all services. */
  readonly connectSlots: CheckSlots;
  /**
   * The async context in which sockets and timers are made. They outlive the call that caused them: in its context they
   * would keep a visit, its deadline and its trace alive.
   */
  readonly home: AsyncResource;
}

/** Makes what the pools share. Call it where no visit is under way, for its async context becomes that of all sockets. */
export const createTransport = (options: {
  readonly clock: Clock;
  readonly random: Random;
  readonly credentials: Watched<Credentials | undefined>;
  /** Roots for endpoints with one-sided TLS where the policy names none, PEM. @default those that Node.js trusts */
  readonly outsideRoots?: readonly string[] | undefined;
  /** Milliseconds by which the config-server's clock is ahead of this machine's, for messages. @default 0 */
  readonly clockSkewMs?: (() => number) | undefined;
  /** Names of the mesh's trust domain, the present one first, asked for at each handshake. @default that of the credentials */
  readonly trustDomains?: () => readonly string[];
  /** @default the system's */
  readonly resolver?: DnsResolver | undefined;
  /** @default {@link DEFAULT_MAX_IDLE_CONNECTIONS} */
  readonly maxIdleConnections?: number | undefined;
}): Transport => {
  const counters = newCounters();
  const mutualTls = new MutualTls(options.trustDomains);
  mutualTls.revoke(options.credentials.current?.revoked);
  // Ends with the credentials, which close with the member.
  options.credentials.subscribe((next) => mutualTls.revoke(next?.revoked));
  return {
    clock: options.clock,
    random: options.random,
    credentials: options.credentials,
    clockSkewMs: options.clockSkewMs ?? (() => 0),
    mutualTls,
    outsideTls: new OutsideTlsDialler(options.outsideRoots),
    resolver: options.resolver ?? systemDnsResolver(),
    counters,
    lag: new LoopLag(options.clock),
    idle: new IdleConnections(
      options.maxIdleConnections ?? DEFAULT_MAX_IDLE_CONNECTIONS,
      () => counters.idleOverflows++,
    ),
    checkSlots: new CheckSlots(),
    connectSlots: new CheckSlots(MAX_NEW_ENDPOINT_CONNECTS),
    home: new AsyncResource("tulle.transport"),
  };
};

const newCounters = (): TransportCounters => ({
  connections: 0,
  handshakes: 0,
  connectFailures: 0,
  connectsHeldBack: 0,
  connectsDeferred: 0,
  connectionsAtLimit: 0,
  connectionOverflows: 0,
  pendingOverflows: 0,
  requestOverflows: 0,
  connectionsUsedUp: 0,
  preconnects: 0,
  preconnectFailures: 0,
  idleOverflows: 0,
  idleRetired: 0,
  unsentReplays: 0,
  resetsAtLimit: 0,
  http2Fallbacks: 0,
  undiciReplays: 0,
  silenceProbes: 0,
  silences: 0,
  degradedHints: 0,
  earlyBodyFull: 0,
  drainsCutOff: 0,
  dnsQueries: 0,
  dnsFailures: 0,
  dnsLastGoodKept: 0,
  dnsWaits: 0,
  healthChecks: 0,
  healthChecksEnded: 0,
  healthCheckFailures: 0,
  healthCheckWaits: 0,
  healthChanges: 0,
});
