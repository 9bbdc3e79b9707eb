import {
  type Balancer,
  durationLimits,
  type Locality,
  numberLimits,
  type ServiceHashKey,
  type SlowStart,
} from "@tulle/policy";
import type { FieldsOf } from "../fields.ts";
import { type Message, message, to } from "../message.ts";
import { boundedDuration } from "./bounded.ts";
import { consistentHashMessage, consistentHashMessages, readConsistentHash } from "./consistent-hash.ts";
import { localityLbMessage, localityLbMessages, readLocalityLb } from "./locality-lb.ts";

/** Istio's LoadBalancerSettings. */
export const loadBalancerMessage: Message<
  "simple" | "consistentHash" | "localityLbSetting" | "warmupDurationSecs" | "warmup"
> = message("LoadBalancerSettings", {
  simple: to("balancer"),
  consistentHash: to("balancer, hashKey"),
  localityLbSetting: to("locality"),
  warmupDurationSecs: to("slowStart.window"),
  warmup: to("slowStart"),
});

const warmupMessage: Message<"duration" | "minimumPercent" | "aggression"> = message("WarmupConfiguration", {
  duration: to("slowStart.window"),
  minimumPercent: to("slowStart.minimumPercent"),
  aggression: to("slowStart.aggression"),
});

/** The messages of a load balancer, for the coverage page. */
export const loadBalancerMessages: readonly Message[] = [
  loadBalancerMessage,
  warmupMessage,
  ...consistentHashMessages,
  ...localityLbMessages,
];

/** What a load balancer becomes. */
export interface ReadLoadBalancer {
  /** `undefined` where the document leaves the choice to whoever connects. */
  readonly balancer: Balancer | undefined;
  readonly hashKey: readonly ServiceHashKey[] | undefined;
  readonly slowStart: SlowStart | undefined;
  /** `undefined`: as Istio has it without being told. */
  readonly locality: Locality | false | undefined;
}

type LoadBalancerFields = FieldsOf<typeof loadBalancerMessage>;

/** Reads how an endpoint is chosen. What Istio does where a document names no algorithm is the fewest requests in flight. */
export const readLoadBalancer = (
  fields: LoadBalancerFields | undefined,
  detectsOutliers: boolean,
): ReadLoadBalancer | undefined => {
  if (fields === undefined) return undefined;
  const hashFields = fields.message("consistentHash", consistentHashMessage);
  if (hashFields !== undefined && fields.has("simple")) {
    fields.refuse("consistentHash", "simple and consistentHash are set: set one");
  }
  const hash = hashFields === undefined ? undefined : readConsistentHash(hashFields);
  const simple = readSimple(fields);
  const locality = readLocalityLb(fields.message("localityLbSetting", localityLbMessage), detectsOutliers);
  return {
    balancer: hash?.balancer ?? simple,
    hashKey: hash?.hashKey,
    slowStart: readWarmup(fields),
    locality,
  };
};

const words = ["UNSPECIFIED", "LEAST_CONN", "LEAST_REQUEST", "RANDOM", "ROUND_ROBIN", "PASSTHROUGH"] as const;

const readSimple = (fields: LoadBalancerFields): Balancer | undefined => {
  switch (fields.oneOf("simple", words)) {
    case "ROUND_ROBIN":
      return { algorithm: "round-robin" };
    case "RANDOM":
      return { algorithm: "random" };
    case "PASSTHROUGH":
      fields.tellNoMeaning("simple", "PASSTHROUGH keeps the address that a proxy was handed; here a call has none");
      return undefined;
    default:
      return { algorithm: "least-request" };
  }
};

const readWarmup = (fields: LoadBalancerFields): SlowStart | undefined => {
  const window = boundedDuration(fields, "warmupDurationSecs", durationLimits.slowStartWindow);
  const warmup = fields.message("warmup", warmupMessage);
  if (warmup === undefined) return window === undefined ? undefined : { window };
  if (fields.has("warmupDurationSecs")) fields.refuse("warmup", "warmupDurationSecs and warmup are set: set one");
  const duration = boundedDuration(warmup, "duration", durationLimits.slowStartWindow);
  if (!warmup.has("duration")) warmup.refuse("duration", "a warm-up needs its duration");
  const minimumPercent = readNumber(warmup, "minimumPercent", 0, 100);
  const aggression = readNumber(warmup, "aggression", 1, Number.POSITIVE_INFINITY);
  const most = numberLimits.aggression.max;
  if ((aggression ?? 0) > most) warmup.warn("aggression", `a policy allows up to ${most}: that is taken`);
  if (duration === undefined) return undefined;
  return {
    window: duration,
    ...(minimumPercent === undefined ? {} : { minimumPercent }),
    ...(aggression === undefined ? {} : { aggression: Math.min(aggression, most) }),
  };
};

const readNumber = (
  fields: FieldsOf<typeof warmupMessage>,
  name: "minimumPercent" | "aggression",
  min: number,
  max: number,
): number | undefined => {
  const value = fields.number(name);
  if (value === undefined || (value >= min && value <= max)) return value;
  fields.refuse(name, `${value} is not a number from ${min}${Number.isFinite(max) ? ` to ${max}` : " on"}`);
  return undefined;
};
