import { type Duration, parseDuration, tryParseDuration } from "./duration.ts";

/** A number's range, ends included. */
export interface NumberLimit {
  readonly min: number;
  readonly max: number;
  /** Fractions are allowed. @default false */
  readonly fractions?: true;
}

/** A duration's range, ends included. */
export interface DurationLimit {
  readonly min: Duration;
  readonly max: Duration;
}

/** Every number of the policies. Checks, schema and documentation take them from here. */
export const numberLimits = {
  port: { min: 1, max: 65_535 },
  accessPort: { min: 0, max: 65_535 },
  trustedProxies: { min: 0, max: 100 },
  concurrentChecks: { min: 1, max: 65_535 },
  retries: { min: 0, max: 10 },
  status: { min: 400, max: 599 },
  checkedStatus: { min: 200, max: 599 },
  healthThreshold: { min: 1, max: 100 },
  budgetRatio: { min: 0, max: 1, fractions: true },
  hedgeQuantile: { min: 0.5, max: 0.999, fractions: true },
  hedgeAttempts: { min: 1, max: 4 },
  minPerSecond: { min: 0, max: 10_000, fractions: true },
  errorPercent: { min: 0.01, max: 100, fractions: true },
  minimumVolume: { min: 1, max: 1_000_000 },
  halfOpenProbes: { min: 1, max: 100 },
  throttlingMultiplier: { min: 1.1, max: 100, fractions: true },
  minimumRequestsPerSecond: { min: 0, max: 1_000_000, fractions: true },
  maxConnections: { min: 1, max: 1_000_000 },
  maxConnectionsPerEndpoint: { min: 1, max: 65_535 },
  maxPendingRequests: { min: 0, max: 1_000_000 },
  maxRequests: { min: 1, max: 1_000_000 },
  maxRequestsPerConnection: { min: 0, max: 536_870_912 },
  preconnectRatio: { min: 1, max: 3, fractions: true },
  maxConcurrentStreams: { min: 1, max: 65_535 },
  weight: { min: 0, max: 1_000_000 },
  directStatus: { min: 200, max: 599 },
  consecutiveFailures: { min: 0, max: 1_000 },
  percent: { min: 0, max: 100, fractions: true },
  comparedHosts: { min: 2, max: 10_000 },
  judgedHosts: { min: 1, max: 10_000 },
  requestVolume: { min: 1, max: 1_000_000 },
  stdevFactor: { min: 0, max: 10, fractions: true },
  ringSize: { min: 1, max: 8_388_608 },
  maglevTableSize: { min: 3, max: 5_000_011 },
  balanceFactor: { min: 100, max: 10_000 },
  abortStatus: { min: 200, max: 599 },
  faultsActive: { min: 1, max: 1_000_000 },
  mirrorsInFlight: { min: 1, max: 65_535 },
  choiceCount: { min: 2, max: 100 },
  activeRequestBias: { min: 0, max: 10, fractions: true },
  aggression: { min: 0.1, max: 10, fractions: true },
  errorPenalty: { min: 0, max: 100, fractions: true },
  inFlightQuantile: { min: 0, max: 1, fractions: true },
  subsetSize: { min: 2, max: 10_000 },
  minimumPercent: { min: 0, max: 100, fractions: true },
  overprovisioningPercent: { min: 100, max: 1_000 },
  minimumClusterSize: { min: 1, max: 10_000 },
} as const;

/** Every duration of the policies. The longest that a timer waits for is a week, within what one of Node.js can. */
export const durationLimits = {
  timeout: { min: "0s", max: "168h" },
  attemptTimeout: { min: "0s", max: "168h" },
  maxDuration: { min: "0s", max: "168h" },
  hedgeDelay: { min: "1ms", max: "5m" },
  idleTimeout: { min: "0s", max: "168h" },
  connectTimeout: { min: "1ms", max: "5m" },
  backoff: { min: "1ms", max: "5m" },
  budgetTtl: { min: "1s", max: "60s" },
  circuitWindow: { min: "100ms", max: "1h" },
  faultDelay: { min: "1ms", max: "1h" },
  hashCookieTtl: { min: "0s", max: "576h" },
  sessionTtl: { min: "1s", max: "576h" },
  openFor: { min: "1ms", max: "1h" },
  throttlingWindow: { min: "1s", max: "1h" },
  maxOpenFor: { min: "1ms", max: "1h" },
  keepAlive: { min: "1ms", max: "1h" },
  maxAge: { min: "1s", max: "24h" },
  decay: { min: "1ms", max: "1h" },
  corsMaxAge: { min: "0s", max: "168h" },
  defaultRtt: { min: "0s", max: "1m" },
  outlierInterval: { min: "100ms", max: "1h" },
  baseEjectionTime: { min: "1ms", max: "1h" },
  maxEjectionTime: { min: "1ms", max: "24h" },
  maxEjectionTimeJitter: { min: "0s", max: "1h" },
  blackoutPeriod: { min: "0s", max: "10m" },
  weightExpiration: { min: "1s", max: "1h" },
  weightUpdate: { min: "100ms", max: "1m" },
  healthCheckInterval: { min: "100ms", max: "1h" },
  noTrafficInterval: { min: "100ms", max: "24h" },
  healthCheckJitter: { min: "0s", max: "1h" },
  healthCheckTimeout: { min: "1ms", max: "1m" },
  staleAfter: { min: "0s", max: "168h" },
  jwksTimeout: { min: "1ms", max: "1m" },
  authorizerTimeout: { min: "1ms", max: "1m" },
  slowStartWindow: { min: "1s", max: "1h" },
} as const;

/** What is wrong with a number, if anything. */
export const wrongNumber = (value: number, limit: NumberLimit): string | undefined => {
  const kind = limit.fractions === true ? "a number" : "a whole number";
  const fits = value >= limit.min && value <= limit.max && (limit.fractions === true || Number.isInteger(value));
  return fits ? undefined : `${value} is not ${kind} from ${limit.min} to ${limit.max}`;
};

/** What is wrong with a duration, if anything. */
export const wrongDuration = (text: string, limit: DurationLimit): string | undefined => {
  const ms = tryParseDuration(text);
  if (ms === undefined) {
    return `"${text}" is not a duration: write a number and a unit (ms, s, m, h), such as "250ms" or "1m30s"`;
  }
  const fits = ms >= parseDuration(limit.min) && ms <= parseDuration(limit.max);
  return fits ? undefined : `"${text}" is not a duration from "${limit.min}" to "${limit.max}"`;
};

/** A DNS label (RFC 1123), as Kubernetes names are. */
export const LABEL_PATTERN = "^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$";
const label = new RegExp(LABEL_PATTERN);

/** What is wrong with the name of a policy or a namespace, if anything. */
export const wrongName = (text: string): string | undefined =>
  label.test(text)
    ? undefined
    : `"${text}" is not a name: write a-z, 0-9 and "-", at most 63 characters, no "-" at either end`;

/** A subset's name stands in telemetry and on command lines. */
export const SUBSET_PATTERN = "^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$";
const subset = new RegExp(SUBSET_PATTERN);

/** What is wrong with the name of a subset, if anything. */
export const wrongSubsetName = (text: string): string | undefined =>
  subset.test(text)
    ? undefined
    : `"${text}" is not a name of a subset: write letters, digits, "-", "_" and ".", at most 63 characters`;

/** A service account is a DNS subdomain in Kubernetes, and a segment of a SPIFFE ID here. */
const account = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;

/** What is wrong with a service account, if anything. */
export const wrongServiceAccount = (text: string): string | undefined =>
  account.test(text) ? undefined : `"${text}" is not a service account: write a-z, 0-9, "-" and "."`;

/** What is wrong with a host that a service claims, if anything. */
export const wrongHost = (text: string): string | undefined => {
  const labels = text.toLowerCase().split(".");
  return text.length <= 253 && labels.every((each) => label.test(each))
    ? undefined
    : `"${text}" is not a host name: write it without scheme, port, path and wildcard, such as "reviews.example.com"`;
};

/** What is wrong with a reference to a service, if anything: `reviews`, `reviews.ns` or the long name. */
export const wrongReference = (text: string): string | undefined => {
  const [name = "", namespace = "default", ...rest] = text.toLowerCase().split(".");
  const tail = rest.join(".");
  return label.test(name) && label.test(namespace) && (tail === "" || tail === "svc" || tail === "svc.cluster.local")
    ? undefined
    : `"${text}" is not a service: write "reviews", "reviews.namespace" or "reviews.namespace.svc.cluster.local"`;
};

/** The characters of a token (RFC 9110, 5.6.2), of which methods and header names are made. */
const token = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;

/** What is wrong with a header's name, if anything. */
export const wrongHeaderName = (text: string): string | undefined =>
  token.test(text) ? undefined : `"${text}" is not the name of a header`;

/** Longest value of a header that a policy sets, characters. */
export const MAX_HEADER_VALUE_LENGTH = 4_096;

/** What is wrong with the value of a header that a policy sets, if anything. */
export const wrongHeaderValue = (text: string): string | undefined => {
  if (text.length > MAX_HEADER_VALUE_LENGTH) {
    return `it has ${text.length} characters, more than ${MAX_HEADER_VALUE_LENGTH}`;
  }
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(text)
    ? undefined
    : "the value has a character that a header cannot have, such as a line break or one beyond Latin-1";
};

/** What is wrong with what a rule sends as Host, if anything. */
export const wrongAuthority = (text: string): string | undefined => {
  const [, host = "", port] = /^(.*?)(?::(\d{1,5}))?$/s.exec(text) ?? [];
  return wrongHost(host) === undefined &&
    (port === undefined || wrongNumber(Number(port), numberLimits.port) === undefined)
    ? undefined
    : `"${text}" is not a host: write a name, with a port where one is meant, such as "ratings:9080"`;
};

/** What is wrong with a method that a route matches, if anything. */
export const wrongMethod = (text: string): string | undefined =>
  token.test(text) && text === text.toUpperCase() ? undefined : `"${text}" is not a method: write it in upper case`;

/** What is wrong with a path that is compared exactly or by its beginning, if anything. */
export const wrongPath = (text: string): string | undefined => {
  if (!text.startsWith("/")) return `"${text}" is not a path: begin it with "/"`;
  return text.includes("?") || text.includes("#") ? `"${text}" is not a path: leave out the query` : undefined;
};

/** What is wrong with a value of an access rule, if anything. */
export const wrongWildcard = (text: string): string | undefined => {
  if (text === "") return "an empty value fits nothing";
  const inside = text.slice(1, -1);
  const atBothEnds = text.length > 1 && text.startsWith("*") && text.endsWith("*");
  return inside.includes("*") || atBothEnds
    ? `"${text}" has a star where none may be: one at its beginning, or one at its end, or alone`
    : undefined;
};

/** What is wrong with a principal of an access rule, if anything. */
export const wrongPrincipal = (text: string): string | undefined =>
  text.startsWith("spiffe://")
    ? `"${text}" has a scheme: principals are written without "spiffe://"`
    : wrongWildcard(text);

/** What is wrong with a method of an access rule, if anything. */
export const wrongAccessMethod = (text: string): string | undefined => {
  const star = wrongWildcard(text);
  if (star !== undefined) return star;
  return text === text.toUpperCase() ? undefined : `"${text}" is not a method: write it in upper case`;
};

/** What is wrong with an object that sets none or several of the fields of which it must set one. */
export const wrongChoice = (value: object, choices: readonly string[]): string | undefined => {
  const set = choices.filter((name) => name in value);
  if (set.length === 1) return undefined;
  return set.length === 0
    ? `set exactly one of ${choices.join(", ")}`
    : `${set.join(" and ")} are set: set exactly one`;
};

/** What is wrong with a list that holds nothing: whether it means all or none is anybody's guess. */
export const EMPTY_LIST = "the list is empty: name something, or leave the field out";
