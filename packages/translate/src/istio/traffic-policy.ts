import { numberLimits, type RetryBudget } from "@tulle/policy";
import type { Fields, FieldsOf } from "../fields.ts";
import { type Message, message, noMeaning, to } from "../message.ts";
import { clientTlsMessage, type ReadClientTls, readClientTls } from "./client-tls.ts";
import {
  connectionPoolMessage,
  connectionPoolMessages,
  type ReadConnectionPool,
  readConnectionPool,
} from "./connection-pool.ts";
import { portSelectorMessage } from "./destination.ts";
import { whyNoHost } from "./hosts.ts";
import { loadBalancerMessage, loadBalancerMessages, type ReadLoadBalancer, readLoadBalancer } from "./load-balancer.ts";
import { outlierDetectionMessage, type ReadOutlierDetection, readOutlierDetection } from "./outlier-detection.ts";

/** Istio's TrafficPolicy. */
export const trafficPolicyMessage: Message<
  | "loadBalancer"
  | "connectionPool"
  | "outlierDetection"
  | "tls"
  | "portLevelSettings"
  | "tunnel"
  | "proxyProtocol"
  | "retryBudget"
> = message("TrafficPolicy", {
  loadBalancer: to("balancer, hashKey, slowStart, locality"),
  connectionPool: to("connectionPool"),
  outlierDetection: to("outlierDetection, panicThreshold"),
  tls: to("tls"),
  portLevelSettings: to("portPolicies"),
  tunnel: noMeaning("connections are not tunnelled: calls go to the endpoint"),
  proxyProtocol: noMeaning("no connection is opened for another one that it could tell of"),
  retryBudget: to("retryBudget"),
});

/** Istio's TrafficPolicy.PortTrafficPolicy. */
export const portTrafficPolicyMessage: Message<
  "port" | "loadBalancer" | "connectionPool" | "outlierDetection" | "tls"
> = message("PortTrafficPolicy", {
  port: to("the port of portPolicies"),
  loadBalancer: to("balancer, hashKey, slowStart, locality"),
  connectionPool: to("connectionPool"),
  outlierDetection: to("outlierDetection, panicThreshold"),
  tls: to("tls, of a service outside the mesh"),
});

const tunnelMessage: Message<"protocol" | "targetHost" | "targetPort"> = message("TunnelSettings", {
  protocol: noMeaning("see tunnel"),
  targetHost: noMeaning("see tunnel"),
  targetPort: noMeaning("see tunnel"),
});

const proxyProtocolMessage: Message<"version"> = message("ProxyProtocol", { version: noMeaning("see proxyProtocol") });

const retryBudgetMessage: Message<"percent" | "minRetryConcurrency"> = message("RetryBudget", {
  percent: to("retryBudget.ratio"),
  minRetryConcurrency: noMeaning("the budget's floor is counted in retries per second: write retryBudget.minPerSecond"),
});

/** The messages of a traffic policy, for the coverage page. */
export const trafficPolicyMessages: readonly Message[] = [
  trafficPolicyMessage,
  portTrafficPolicyMessage,
  ...loadBalancerMessages,
  ...connectionPoolMessages,
  outlierDetectionMessage,
  clientTlsMessage,
  retryBudgetMessage,
  tunnelMessage,
  proxyProtocolMessage,
];

/** What a traffic policy says, part by part: of each part one level decides, whole. */
export interface TrafficSettings {
  readonly loadBalancer?: ReadLoadBalancer;
  readonly connectionPool?: ReadConnectionPool;
  readonly outlierDetection?: ReadOutlierDetection;
  readonly tls?: ReadClientTls;
  readonly retryBudget?: RetryBudget;
}

/** A traffic policy with what it says of ports. */
export interface TrafficPolicy extends TrafficSettings {
  readonly ports: ReadonlyMap<number, TrafficSettings>;
}

/**
 * What a traffic policy is said of. Of single connections, and of TLS, a service of the mesh alone can say something, but no
 * subset and no port of it.
 */
export type PolicyLevel = "service" | "subset" | "outside";

/** Reads a traffic policy. */
export const readTrafficPolicy = (
  fields: FieldsOf<typeof trafficPolicyMessage> | undefined,
  level: PolicyLevel,
): TrafficPolicy | undefined => {
  if (fields === undefined) return undefined;
  const parts = Object.keys(trafficPolicyMessage.fields) as (keyof typeof trafficPolicyMessage.fields)[]; // its own names
  if (!parts.some((part) => fields.has(part))) {
    fields.refuse("loadBalancer", "a traffic policy says nothing: set a field, or leave it out");
  }
  checkTunnel(fields.message("tunnel", tunnelMessage));
  fields.message("proxyProtocol", proxyProtocolMessage)?.oneOf("version", ["V1", "V2"]);
  const ports = new Map<number, TrafficSettings>();
  for (const each of fields.messages("portLevelSettings", portTrafficPolicyMessage) ?? []) {
    const read = readPortPolicy(each, level);
    // The first that names a port is the one that Istio finds.
    if (read !== undefined && !ports.has(read.port)) ports.set(read.port, read.settings);
  }
  const retryBudget = readRetryBudget(fields.message("retryBudget", retryBudgetMessage));
  return { ...readSettings(fields, level === "subset"), ...(retryBudget === undefined ? {} : { retryBudget }), ports };
};

type SettingsFields = Fields<"loadBalancer" | "connectionPool" | "outlierDetection" | "tls">;

const readSettings = (fields: SettingsFields, isPart: boolean): TrafficSettings => {
  const outlierDetection = readOutlierDetection(fields.message("outlierDetection", outlierDetectionMessage));
  const loadBalancer = readLoadBalancer(
    fields.message("loadBalancer", loadBalancerMessage),
    outlierDetection !== undefined,
  );
  const connectionPool = readConnectionPool(fields.message("connectionPool", connectionPoolMessage));
  const tls = readClientTls(fields.message("tls", clientTlsMessage));
  if (isPart) tellOfWhole(fields, tls);
  return {
    ...(loadBalancer === undefined ? {} : { loadBalancer }),
    ...(connectionPool === undefined ? {} : { connectionPool }),
    ...(outlierDetection === undefined ? {} : { outlierDetection }),
    ...(tls === undefined ? {} : { tls }),
  };
};

/** What is said of single connections, by the message that it stands in. */
const ofConnections = {
  tcp: ["connectTimeout", "maxConnectionDuration"],
  http: ["maxRequestsPerConnection", "idleTimeout", "maxConcurrentStreams", "h2UpgradePolicy"],
} as const;

/** Tells what a subset or a port cannot say otherwise than its service. */
const tellOfWhole = (fields: SettingsFields, tls: ReadClientTls | undefined): void => {
  if (tls !== undefined && tls.mode !== "mesh") {
    fields.tellNoMeaning("tls", "how endpoints are spoken to is said of the service, and not of a subset or a port");
  }
  const pool = fields.map("connectionPool") ?? {};
  for (const [part, names] of Object.entries(ofConnections)) {
    const settings = pool[part];
    if (typeof settings !== "object" || settings === null) continue;
    for (const name of names.filter((each) => each in settings)) {
      fields.tellNoMeaning(
        "connectionPool",
        "how single connections are made is said of the service, and not of a subset or a port",
        part,
        name,
      );
    }
  }
};

const readPortPolicy = (
  fields: FieldsOf<typeof portTrafficPolicyMessage>,
  level: PolicyLevel,
): { readonly port: number; readonly settings: TrafficSettings } | undefined => {
  const port = fields.message("port", portSelectorMessage)?.integer("number");
  const settings = readSettings(fields, level !== "outside");
  if (port === undefined || port < 1 || port > 65_535) {
    fields.refuse("port", "a policy of a port needs its number, 1 to 65535");
  }
  if (Object.keys(settings).length === 0) fields.refuse("port", "a policy of a port says nothing: set a field");
  return port === undefined ? undefined : { port, settings };
};

const readRetryBudget = (fields: FieldsOf<typeof retryBudgetMessage> | undefined): RetryBudget | undefined => {
  if (fields === undefined) return undefined;
  const percent = fields.number("percent");
  const concurrency = fields.integer("minRetryConcurrency");
  if (concurrency !== undefined && concurrency < 0) fields.refuse("minRetryConcurrency", `${concurrency} is below 0`);
  if (percent === undefined) return {};
  const ratio = percent / 100;
  const { min, max } = numberLimits.budgetRatio;
  if (ratio >= min && ratio <= max) return { ratio };
  fields.refuse("percent", `${percent} is no share in percent: write 0 to 100`);
  return undefined;
};

const checkTunnel = (fields: FieldsOf<typeof tunnelMessage> | undefined): void => {
  if (fields === undefined) return;
  fields.oneOf("protocol", ["", "CONNECT", "POST"]);
  const host = fields.text("targetHost");
  const wrong = host === undefined ? "a tunnel needs its targetHost" : whyNoHost(host, { wildcard: false });
  if (wrong !== undefined) fields.refuse("targetHost", wrong);
  const port = fields.integer("targetPort");
  if (port === undefined || port < 1 || port > 65_535)
    fields.refuse("targetPort", "a port is a number from 1 to 65535");
};
