import type { PolicyMeta } from "../policy-meta.ts";
import type { RouteMatch, RoutePolicy, RouteRule, WeightedDestination } from "../route-policy.ts";
import type { ServicePolicy } from "../service-policy.ts";
import type { PathMatch, StringMatch } from "../string-match.ts";
import { referenceTo, type ServiceOf } from "./build-service.ts";

/** A match where a plain text means "exactly this". */
export type WrittenMatch = Omit<RouteMatch, "path" | "headers" | "query"> & {
  readonly path?: string | PathMatch;
  readonly headers?: Readonly<Record<string, string | StringMatch>>;
  readonly query?: Readonly<Record<string, string | StringMatch>>;
};

/** What a rule says besides whom it is for and where the call goes. */
export type RuleOptions = Pick<
  RouteRule,
  "name" | "timeout" | "attemptTimeout" | "idleTimeout" | "retry" | "sticky" | "sessionAffinity" | "mirror" | "fault"
>;

/** What a route says besides its rules. The name is the service's unless said. */
export type RouteOptions = Partial<Omit<PolicyMeta, "origin">> & Pick<RoutePolicy, "unmatched">;

/** Ends a rule: says where its calls go. Each adds one rule and gives a new route; the old one stays as it was. */
export interface RuleEnd<Subset extends string> {
  /** All to one subset, or all to another service. */
  to(destination: Subset | ServicePolicy, options?: RuleOptions): RouteBuilder<Subset>;
  /** Shares by weight: `split({ v1: 80, v2: 20 })`. */
  split(weights: Readonly<Partial<Record<Subset, number>>>, options?: RuleOptions): RouteBuilder<Subset>;
  /** All endpoints of the service, as without a rule, but with this rule's timeouts and retries. */
  toAll(options?: RuleOptions): RouteBuilder<Subset>;
}

/**
 * A `Route` policy that grows rule by rule. A plain policy to everybody else: its methods are not enumerable, so that
 * copies, JSON and equality see the data alone.
 */
export interface RouteBuilder<Subset extends string> extends RoutePolicy, RuleEnd<Subset> {
  /** Begins a rule for the calls that match one of these. Without it a rule is for every call. */
  when(...matches: readonly [WrittenMatch, ...WrittenMatch[]]): RuleEnd<Subset>;
}

/**
 * The routes of a service, rule by rule, the first that fits decides:
 * `route(reviews).when({ headers: { "end-user": "jason" } }).to("v2").split({ v1: 80, v2: 20 })`.
 */
export const route = <Subset extends string>(
  service: ServiceOf<Subset>,
  options: RouteOptions = {},
): RouteBuilder<Subset> =>
  growing({
    kind: "Route",
    name: service.name,
    ...(service.namespace === undefined ? {} : { namespace: service.namespace }),
    ...options,
    services: [
      service.namespace === options.namespace || options.namespace === undefined ? service.name : referenceTo(service),
    ],
    rules: [],
  });

const growing = <Subset extends string>(policy: RoutePolicy): RouteBuilder<Subset> => {
  const methods = {
    ...ruleEnd<Subset>(policy, {}),
    when: (...matches: readonly WrittenMatch[]) => ruleEnd<Subset>(policy, { match: matches.map(matchOf) }),
  };
  const route = { ...policy };
  for (const [name, value] of Object.entries(methods)) Object.defineProperty(route, name, { value });
  // The methods were defined one line above, in a way that types do not follow.
  return route as RouteBuilder<Subset>;
};

const ruleEnd = <Subset extends string>(policy: RoutePolicy, begun: Pick<RouteRule, "match">): RuleEnd<Subset> => {
  const add = (end: Pick<RouteRule, "split">, options: RuleOptions): RouteBuilder<Subset> =>
    growing({ ...policy, rules: [...policy.rules, { ...begun, ...end, ...options }] });
  return {
    to: (destination, options = {}) =>
      add(
        { split: [typeof destination === "string" ? { subset: destination } : { service: referenceTo(destination) }] },
        options,
      ),
    split: (weights, options = {}) =>
      add(
        {
          // Only names of subsets with their weights are in it; the type of entries is wider than that.
          split: Object.entries<number | undefined>(weights).flatMap(([subset, weight]): WeightedDestination[] =>
            weight === undefined ? [] : [{ subset, weight }],
          ),
        },
        options,
      ),
    toAll: (options = {}) => add({}, options),
  };
};

const matchOf = ({ path, headers, query, ...rest }: WrittenMatch): RouteMatch => ({
  ...rest,
  ...(path === undefined ? {} : { path: typeof path === "string" ? { exact: path } : path }),
  ...(headers === undefined ? {} : { headers: comparisonsOf(headers) }),
  ...(query === undefined ? {} : { query: comparisonsOf(query) }),
});

const comparisonsOf = (
  written: Readonly<Record<string, string | StringMatch>>,
): Readonly<Record<string, StringMatch>> =>
  Object.fromEntries(
    Object.entries(written).map(([name, match]) => [name, typeof match === "string" ? { exact: match } : match]),
  );
