import { type ConnectionPool, type Duration, durationLimits, numberLimits } from "@tulle/policy";
import type { FieldsOf } from "../fields.ts";
import { type Message, message, noMeaning, to } from "../message.ts";
import { boundedCount, boundedDuration } from "./bounded.ts";
import { wholeDuration } from "./whole-duration.ts";

/** Istio's ConnectionPoolSettings. */
export const connectionPoolMessage: Message<"tcp" | "http"> = message("ConnectionPoolSettings", {
  tcp: to("connectionPool"),
  http: to("connectionPool"),
});

/** Istio's ConnectionPoolSettings.TCPSettings. */
export const tcpSettingsMessage: Message<
  "maxConnections" | "connectTimeout" | "tcpKeepalive" | "maxConnectionDuration" | "idleTimeout"
> = message("ConnectionPoolSettings.TCPSettings", {
  maxConnections: to("connectionPool.maxConnections, and maxConnectionsPerEndpoint where it is above 64"),
  connectTimeout: to("connectionPool.connectTimeout"),
  tcpKeepalive: noMeaning(
    "Node.js keeps its sockets alive by itself; a dead peer is found by time limits and ejection",
  ),
  maxConnectionDuration: to("connectionPool.maxAge"),
  idleTimeout: noMeaning("it is about connections that are no HTTP; idle ones of HTTP follow http.idleTimeout"),
});

const keepaliveMessage: Message<"probes" | "time" | "interval"> = message("ConnectionPoolSettings.TcpKeepalive", {
  probes: noMeaning("see tcpKeepalive"),
  time: noMeaning("see tcpKeepalive"),
  interval: noMeaning("see tcpKeepalive"),
});

/** Istio's ConnectionPoolSettings.HTTPSettings. */
export const httpSettingsMessage: Message<
  | "http1MaxPendingRequests"
  | "http2MaxRequests"
  | "maxRequestsPerConnection"
  | "maxRetries"
  | "idleTimeout"
  | "h2UpgradePolicy"
  | "useClientProtocol"
  | "maxConcurrentStreams"
  | "http2KeepAlive"
> = message("ConnectionPoolSettings.HTTPSettings", {
  http1MaxPendingRequests: to("connectionPool.maxPendingRequests"),
  http2MaxRequests: to("connectionPool.maxRequests"),
  maxRequestsPerConnection: to("connectionPool.maxRequestsPerConnection"),
  maxRetries: noMeaning("retries are bounded by retryBudget, a share of the calls, and not by their number"),
  idleTimeout: to("connectionPool.keepAlive"),
  h2UpgradePolicy: to("protocol: http2, for UPGRADE"),
  useClientProtocol: noMeaning("there is no connection of a client that a call came in on"),
  maxConcurrentStreams: to("connectionPool.maxConcurrentStreams"),
  http2KeepAlive: noMeaning("sessions of HTTP/2 are asked by the client itself whether they live"),
});

const http2KeepAliveMessage: Message<"interval" | "timeout"> = message("ConnectionPoolSettings.HTTP2KeepAlive", {
  interval: noMeaning("see http2KeepAlive"),
  timeout: noMeaning("see http2KeepAlive"),
});

/** The messages of a pool, for the coverage page. */
export const connectionPoolMessages: readonly Message[] = [
  connectionPoolMessage,
  tcpSettingsMessage,
  keepaliveMessage,
  httpSettingsMessage,
  http2KeepAliveMessage,
];

/** What a pool becomes. */
export interface ReadConnectionPool {
  readonly pool: ConnectionPool;
  /** HTTP/2 is asked for. */
  readonly upgrade: boolean;
}

/** Where nothing is said, Istio bounds nothing; a policy's largest bound is what comes nearest. */
const UNBOUNDED = {
  maxConnections: numberLimits.maxConnections.max,
  maxPendingRequests: numberLimits.maxPendingRequests.max,
  maxRequests: numberLimits.maxRequests.max,
} as const;

/** Istio's own, where a document says something of TCP and not this. */
const CONNECT_TIMEOUT: Duration = "10s";

/** A policy's own bound of one endpoint, which Istio does not have. */
const PER_ENDPOINT = 64;

/** Reads what bounds the connections of a service. */
export const readConnectionPool = (
  fields: FieldsOf<typeof connectionPoolMessage> | undefined,
): ReadConnectionPool | undefined => {
  if (fields === undefined) return undefined;
  const tcp = fields.message("tcp", tcpSettingsMessage);
  const http = fields.message("http", httpSettingsMessage);
  if (tcp === undefined && http === undefined) fields.refuse("http", "a connection pool needs tcp or http");
  return {
    pool: { ...UNBOUNDED, ...readTcp(tcp), ...readHttp(http) },
    upgrade: http !== undefined && readUpgrade(http),
  };
};

const readTcp = (fields: FieldsOf<typeof tcpSettingsMessage> | undefined): ConnectionPool => {
  if (fields === undefined) return {};
  const maxConnections = boundedCount(fields, "maxConnections", numberLimits.maxConnections);
  const connectTimeout = boundedDuration(fields, "connectTimeout", durationLimits.connectTimeout) ?? CONNECT_TIMEOUT;
  const maxAge = boundedDuration(fields, "maxConnectionDuration", durationLimits.maxAge);
  // Istio reads it, and refuses what is none.
  wholeDuration(fields, "idleTimeout");
  const keepalive = fields.message("tcpKeepalive", keepaliveMessage);
  if (keepalive !== undefined) {
    keepalive.integer("probes");
    wholeDuration(keepalive, "time");
    wholeDuration(keepalive, "interval");
  }
  return {
    ...(maxConnections === undefined ? {} : { maxConnections }),
    ...(maxConnections === undefined || maxConnections <= PER_ENDPOINT
      ? {}
      : { maxConnectionsPerEndpoint: Math.min(maxConnections, numberLimits.maxConnectionsPerEndpoint.max) }),
    connectTimeout,
    ...(maxAge === undefined ? {} : { maxAge }),
  };
};

const readHttp = (fields: FieldsOf<typeof httpSettingsMessage> | undefined): ConnectionPool => {
  if (fields === undefined) return {};
  const maxPendingRequests = boundedCount(fields, "http1MaxPendingRequests", numberLimits.maxPendingRequests);
  const maxRequests = boundedCount(fields, "http2MaxRequests", numberLimits.maxRequests);
  const perConnection = boundedCount(fields, "maxRequestsPerConnection", numberLimits.maxRequestsPerConnection);
  const maxConcurrentStreams = boundedCount(fields, "maxConcurrentStreams", numberLimits.maxConcurrentStreams);
  const keepAlive = boundedDuration(fields, "idleTimeout", durationLimits.keepAlive);
  const retries = fields.integer("maxRetries");
  if (retries !== undefined && retries < 0) fields.refuse("maxRetries", `${retries} is below 0`);
  const http2 = fields.message("http2KeepAlive", http2KeepAliveMessage);
  for (const name of ["interval", "timeout"] as const) {
    if (http2 === undefined) continue;
    if (http2.has(name)) wholeDuration(http2, name);
    else http2.refuse(name, "http2KeepAlive needs interval and timeout");
  }
  return {
    ...(maxPendingRequests === undefined ? {} : { maxPendingRequests }),
    ...(maxRequests === undefined ? {} : { maxRequests }),
    ...(perConnection === undefined ? {} : { maxRequestsPerConnection: perConnection }),
    ...(maxConcurrentStreams === undefined ? {} : { maxConcurrentStreams }),
    ...(keepAlive === undefined ? {} : { keepAlive }),
  };
};

const readUpgrade = (fields: FieldsOf<typeof httpSettingsMessage>): boolean => {
  const upgrade = fields.oneOf("h2UpgradePolicy", ["DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"]);
  if (upgrade === "UPGRADE" && fields.flag("useClientProtocol") === true) {
    fields.refuse("useClientProtocol", "h2UpgradePolicy UPGRADE and useClientProtocol are set: set one");
  }
  return upgrade === "UPGRADE";
};
