import type { DirectResponse } from "../direct-response-policy.ts";
import type { ExternalServicePolicy } from "../external-service-policy.ts";
import type { PolicyMeta } from "../policy-meta.ts";
import type { Redirect } from "../redirect-policy.ts";
import type { RouteMatch } from "../route-match.ts";
import type { RoutePolicy, RouteRule, WeightedDestination } from "../route-policy.ts";
import type { ServicePolicy } from "../service-policy.ts";
import type { PathMatch, StringMatch } from "../string-match.ts";
import { referenceTo, type ServiceOf } from "./build-service.ts";

/** A match where a plain text means "exactly this". */
export type WrittenMatch = Omit<RouteMatch, "path" | "method" | "scheme" | "authority" | "headers" | "query"> & {
  readonly path?: string | PathMatch;
  readonly method?: string | StringMatch;
  readonly scheme?: string | StringMatch;
  readonly authority?: string | StringMatch;
  readonly headers?: Readonly<Record<string, string | StringMatch>>;
  readonly query?: Readonly<Record<string, string | StringMatch>>;
};

/** What a rule says besides whom it is for and where the call goes. */
export type RuleOptions = Pick<
  RouteRule,
  | "name"
  | "timeout"
  | "attemptTimeout"
  | "maxDuration"
  | "idleTimeout"
  | "retry"
  | "hedge"
  | "sticky"
  | "sessionAffinity"
  | "mirror"
  | "fault"
  | "rewrite"
  | "requestHeaders"
  | "responseHeaders"
  | "cors"
>;

/** What a rule says that answers by itself. */
export type AnswerOptions = Pick<RouteRule, "name" | "responseHeaders" | "cors">;

/** A share of a split: its weight, or all that a destination may say. */
export type WrittenShare = number | Omit<WeightedDestination, "service" | "subset">;

/** What a route says besides its rules. The name is the service's unless said. */
export type RouteOptions = Partial<Omit<PolicyMeta, "origin">> & Pick<RoutePolicy, "unmatched">;

/** Ends a rule: says where its calls go. Each adds one rule and gives a new route; the old one stays as it was. */
export interface RuleEnd<Subset extends string> {
  /** All to one subset, or all to another service, inside or outside the mesh. */
  to(destination: Subset | ServicePolicy | ExternalServicePolicy, options?: RuleOptions): RouteBuilder<Subset>;
  /** Shares by weight: `split({ v1: 80, v2: 20 })`, or `{ v1: 80, v2: { weight: 20, requestHeaders: … } }`. */
  split(shares: Readonly<Partial<Record<Subset, WrittenShare>>>, options?: RuleOptions): RouteBuilder<Subset>;
  /** All endpoints of the service, as without a rule, but with this rule's timeouts and retries. */
  toAll(options?: RuleOptions): RouteBuilder<Subset>;
  /** Answers with a redirect instead of calling. */
  redirect(redirect: Redirect, options?: AnswerOptions): RouteBuilder<Subset>;
  /** Answers instead of calling. */
  respond(response: DirectResponse, options?: AnswerOptions): RouteBuilder<Subset>;
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
  service: ServiceOf<Subset> | ExternalServicePolicy,
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
  const add = (
    end: Pick<RouteRule, "split" | "redirect" | "directResponse">,
    options: RuleOptions,
  ): RouteBuilder<Subset> => growing({ ...policy, rules: [...policy.rules, { ...begun, ...end, ...options }] });
  return {
    to: (destination, options = {}) =>
      add(
        { split: [typeof destination === "string" ? { subset: destination } : { service: referenceTo(destination) }] },
        options,
      ),
    split: (shares, options = {}) =>
      add(
        {
          // Only names of subsets with their shares are in it; the type of entries is wider than that.
          split: Object.entries<WrittenShare | undefined>(shares).flatMap(([subset, share]): WeightedDestination[] =>
            share === undefined ? [] : [{ subset, ...(typeof share === "number" ? { weight: share } : share) }],
          ),
        },
        options,
      ),
    toAll: (options = {}) => add({}, options),
    redirect: (redirect, options = {}) => add({ redirect }, options),
    respond: (directResponse, options = {}) => add({ directResponse }, options),
  };
};

const matchOf = ({ path, method, scheme, authority, headers, query, ...rest }: WrittenMatch): RouteMatch => ({
  ...rest,
  ...(path === undefined ? {} : { path: typeof path === "string" ? { exact: path } : path }),
  ...(method === undefined ? {} : { method: comparisonOf(method) }),
  ...(scheme === undefined ? {} : { scheme: comparisonOf(scheme) }),
  ...(authority === undefined ? {} : { authority: comparisonOf(authority) }),
  ...(headers === undefined ? {} : { headers: comparisonsOf(headers) }),
  ...(query === undefined ? {} : { query: comparisonsOf(query) }),
});

const comparisonsOf = (
  written: Readonly<Record<string, string | StringMatch>>,
): Readonly<Record<string, StringMatch>> =>
  Object.fromEntries(Object.entries(written).map(([name, match]) => [name, comparisonOf(match)]));

const comparisonOf = (written: string | StringMatch): StringMatch =>
  typeof written === "string" ? { exact: written } : written;
