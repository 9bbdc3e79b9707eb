import { type Balancer, durationLimits, numberLimits, parseDuration, type ServiceHashKey } from "@tulle/policy";
import type { FieldsOf } from "../fields.ts";
import { type Message, message, noMeaning, to } from "../message.ts";
import { boundedCount } from "./bounded.ts";

/** Istio's LoadBalancerSettings.ConsistentHashLB. */
export const consistentHashMessage: Message<
  "httpHeaderName" | "httpCookie" | "useSourceIp" | "httpQueryParameterName" | "ringHash" | "maglev" | "minimumRingSize"
> = message("ConsistentHashLB", {
  httpHeaderName: to("hashKey[].header"),
  httpCookie: to("hashKey[].cookie"),
  useSourceIp: to("hashKey[].source: instance"),
  httpQueryParameterName: to("hashKey[].query"),
  ringHash: to("balancer: ring-hash"),
  maglev: to("balancer: maglev"),
  minimumRingSize: to("balancer.minimumRingSize"),
});

const cookieMessage: Message<"name" | "path" | "ttl" | "attributes"> = message("ConsistentHashLB.HTTPCookie", {
  name: to("hashKey[].cookie"),
  path: to("hashKey[].path"),
  ttl: to("hashKey[].ttl"),
  attributes: noMeaning("a cookie that the mesh gives is HttpOnly and has no other attributes"),
});

const ringHashMessage: Message<"minimumRingSize"> = message("ConsistentHashLB.RingHash", {
  minimumRingSize: to("balancer.minimumRingSize"),
});

const maglevMessage: Message<"tableSize"> = message("ConsistentHashLB.MagLev", {
  tableSize: to("balancer.tableSize"),
});

/** The messages of consistent hashing, for the coverage page. */
export const consistentHashMessages: readonly Message[] = [
  consistentHashMessage,
  cookieMessage,
  ringHashMessage,
  maglevMessage,
];

type HashFields = FieldsOf<typeof consistentHashMessage>;

/** Reads by what calls are told apart, and on what table they are laid. */
export const readConsistentHash = (
  fields: HashFields,
): { readonly balancer: Balancer; readonly hashKey: readonly ServiceHashKey[] } => {
  const [, second] = (["httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName"] as const).filter(
    (name) => fields.has(name),
  );
  if (second !== undefined) fields.refuse(second, "two keys are set: calls are told apart by one");
  return { balancer: readTable(fields), hashKey: readKeys(fields) };
};

const readTable = (fields: HashFields): Balancer => {
  const ring = fields.message("ringHash", ringHashMessage);
  const maglev = fields.message("maglev", maglevMessage);
  if (ring !== undefined && maglev !== undefined) fields.refuse("maglev", "ringHash and maglev are set: set one");
  const outer = boundedCount(fields, "minimumRingSize", numberLimits.ringSize);
  const minimumRingSize = (ring && boundedCount(ring, "minimumRingSize", numberLimits.ringSize)) ?? outer;
  if (maglev === undefined) {
    return { algorithm: "ring-hash", ...(minimumRingSize === undefined ? {} : { minimumRingSize }) };
  }
  const tableSize = maglev.integer("tableSize") || undefined;
  const { min, max } = numberLimits.maglevTableSize;
  if (tableSize === undefined) return { algorithm: "maglev" };
  if (tableSize < 2 || tableSize > max || !isPrime(tableSize)) {
    maglev.refuse("tableSize", `${tableSize} is no prime up to ${max}`);
  }
  return { algorithm: "maglev", tableSize: Math.max(min, tableSize) };
};

const readKeys = (fields: HashFields): readonly ServiceHashKey[] => {
  const header = fields.text("httpHeaderName");
  const query = fields.text("httpQueryParameterName");
  const cookie = fields.message("httpCookie", cookieMessage);
  for (const [name, value] of [["httpHeaderName", header] as const, ["httpQueryParameterName", query] as const]) {
    if (value === "") fields.refuse(name, "the name is empty");
  }
  return [
    ...(header ? [{ header }] : []),
    ...(cookie === undefined ? [] : readCookie(cookie)),
    ...(fields.flag("useSourceIp") === true ? [{ source: "instance" } as const] : []),
    ...(query ? [{ query }] : []),
  ];
};

const readCookie = (fields: FieldsOf<typeof cookieMessage>): readonly ServiceHashKey[] => {
  const cookie = fields.text("name") || undefined;
  const path = fields.text("path") || undefined;
  const ttl = fields.duration("ttl");
  if (cookie === undefined) {
    fields.refuse("name", "a cookie needs its name");
    return [];
  }
  if (path !== undefined && !path.startsWith("/")) fields.warn("path", `"${path}" is no path, and is left out`);
  if (ttl === undefined) return [{ cookie }];
  return [{ cookie, ttl: withinMost(ttl), ...(path?.startsWith("/") === true ? { path } : {}) }];
};

/** A cookie that outlives the longest that a policy can say is renewed by then. */
const withinMost = (ttl: NonNullable<ServiceHashKey["ttl"]>): NonNullable<ServiceHashKey["ttl"]> => {
  const { max } = durationLimits.hashCookieTtl;
  return parseDuration(ttl) > parseDuration(max) ? max : ttl;
};

const isPrime = (number: number): boolean => {
  for (let divisor = 2; divisor * divisor <= number; divisor++) if (number % divisor === 0) return false;
  return number > 1;
};
