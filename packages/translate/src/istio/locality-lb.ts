import type { Locality, LocalityDistribution, RegionFailover } from "@tulle/policy";
import type { FieldsOf } from "../fields.ts";
import { type Message, message, to } from "../message.ts";

/** Istio's LocalityLoadBalancerSetting. */
export const localityLbMessage: Message<"distribute" | "failover" | "failoverPriority" | "enabled"> = message(
  "LocalityLoadBalancerSetting",
  {
    distribute: to("locality: distribute"),
    failover: to("locality.failover"),
    failoverPriority: to("locality.failoverPriority"),
    enabled: to("locality: false, where it is false"),
  },
);

const distributeMessage: Message<"from" | "to"> = message("LocalityLoadBalancerSetting.Distribute", {
  from: to("locality.distribute[].from"),
  to: to("locality.distribute[].to"),
});

const failoverMessage: Message<"from" | "to"> = message("LocalityLoadBalancerSetting.Failover", {
  from: to("locality.failover[].from"),
  to: to("locality.failover[].to"),
});

/** The messages of locality, for the coverage page. */
export const localityLbMessages: readonly Message[] = [localityLbMessage, distributeMessage, failoverMessage];

type LocalityFields = FieldsOf<typeof localityLbMessage>;

/**
 * Reads how calls prefer localities; `undefined` where nothing is said, and Istio's own way holds.
 *
 * @param detectsOutliers whether the same policy says when endpoints are left out, without which nothing fails over
 */
export const readLocalityLb = (
  fields: LocalityFields | undefined,
  detectsOutliers: boolean,
): Locality | false | undefined => {
  if (fields === undefined) return undefined;
  const distribute = fields.messages("distribute", distributeMessage) ?? [];
  const failover = fields.messages("failover", failoverMessage) ?? [];
  const failoverPriority = fields.texts("failoverPriority") ?? [];
  const [first, second] = [
    ...(distribute.length > 0 ? (["distribute"] as const) : []),
    ...(failover.length > 0 ? (["failover"] as const) : []),
    ...(failoverPriority.length > 0 ? (["failoverPriority"] as const) : []),
  ];
  if (second !== undefined) fields.refuse(second, `${first} and ${second} are set: set one`);
  for (const name of ["failover", "failoverPriority"] as const) {
    if (fields.has(name) && (name === first || name === second) && !detectsOutliers) {
      fields.refuse(name, "nothing fails over without outlierDetection: set it in the same policy");
    }
  }
  const shares = distribute.map((each) => readDistribution(each));
  const overlap = overlapping(shares.map(({ from }) => from));
  if (overlap !== undefined) fields.refuse("distribute", `"${overlap}" is covered by another one`);
  const regions = failover.map((each) => readFailover(each));
  if (fields.flag("enabled") === false) return false;
  if (shares.length > 0) return { mode: "distribute", distribute: shares };
  if (!detectsOutliers) return undefined;
  if (failoverPriority.length > 0) return { mode: "failover", failoverPriority };
  return { mode: "failover", ...(regions.length === 0 ? {} : { failover: regions }) };
};

const readDistribution = (fields: FieldsOf<typeof distributeMessage>): LocalityDistribution => {
  const from = fields.text("from") ?? "";
  const wrongFrom = wrongPattern(from);
  if (wrongFrom !== undefined) fields.refuse("from", wrongFrom);
  const shares: Record<string, number> = {};
  for (const [pattern, written] of Object.entries(fields.map("to") ?? {})) {
    const wrong = wrongPattern(pattern);
    if (wrong !== undefined) fields.refuse("to", wrong, pattern);
    const share = typeof written === "string" ? Number(written) : written;
    if (typeof share === "number" && Number.isInteger(share) && share > 0 && share <= 100) shares[pattern] = share;
    else fields.refuse("to", "a share is a whole number from 1 to 100", pattern);
  }
  const sum = Object.values(shares).reduce((total, share) => total + share, 0);
  if (sum !== 100) fields.refuse("to", `the shares are ${sum} percent together, not 100`);
  const overlap = overlapping(Object.keys(shares));
  if (overlap !== undefined) fields.refuse("to", `"${overlap}" is covered by another one`, overlap);
  return { from, to: shares };
};

const readFailover = (fields: FieldsOf<typeof failoverMessage>): RegionFailover => {
  const region = { from: fields.text("from") ?? "", to: fields.text("to") ?? "" };
  for (const name of ["from", "to"] as const) {
    if (region[name] === "" || /[/*]/.test(region[name])) {
      fields.refuse(name, `"${region[name]}" is no region: write its name alone`);
    }
  }
  if (region.from === region.to) fields.refuse("to", "a region cannot stand in for itself");
  return region;
};

const wrongPattern = (text: string): string | undefined => {
  const parts = text.split("/");
  const star = text.indexOf("*");
  const isWhole = parts.length <= 3 && parts.every((part) => part !== "" && (part === "*" || !part.includes("*")));
  return isWhole && (star === -1 || star === text.length - 1)
    ? undefined
    : `"${text}" is no locality: write "region/zone/subzone", "region/zone/*", "region/*" or "*"`;
};

/** The first of the patterns that another one covers, or that covers another one. */
const overlapping = (patterns: readonly string[]): string | undefined => {
  const places = patterns.map((pattern) => pattern.replace(/\/?\*$/, ""));
  return patterns.find((_, at) =>
    places.some((other, place) => {
      const own = places[at] ?? "";
      return (
        place < at &&
        (own === other || own === "" || other === "" || own.startsWith(`${other}/`) || other.startsWith(`${own}/`))
      );
    }),
  );
};
