import type { PathMatch, RouteMatch, RouteRule, WeightedDestination } from "@tulle/policy";
import type { Catalog } from "../catalog.ts";
import type { FieldsOf } from "../fields.ts";
import { type Message, message, to } from "../message.ts";
import { corsMessage, readCors } from "./cors.ts";
import { type Destination, destinationMessage, readDestination, referenceTo } from "./destination.ts";
import { faultMessage, readFault } from "./fault.ts";
import { headersMessage, readHeaders } from "./header-operations.ts";
import {
  directResponseMessage,
  readDirectResponse,
  readRedirect,
  readRewrite,
  redirectMessage,
  rewriteMessage,
} from "./http-answer.ts";
import { httpMatchMessage, readHttpMatch } from "./http-match.ts";
import { readMirrors } from "./mirror.ts";
import { readRetries, retriesMessage } from "./retries.ts";

/** Istio's HTTPRouteDestination. */
export const routeDestinationMessage: Message<"destination" | "weight" | "headers"> = message("HTTPRouteDestination", {
  destination: to("split[]"),
  weight: to("split[].weight"),
  headers: to("split[].requestHeaders, split[].responseHeaders"),
});

/** Istio's Delegate. */
export const delegateMessage: Message<"name" | "namespace"> = message("Delegate", {
  name: to("the rules of the VirtualService that is named"),
  namespace: to("the rules of the VirtualService that is named"),
});

/** Istio's HTTPRoute. */
export const httpRouteMessage: Message<
  | "name"
  | "match"
  | "route"
  | "redirect"
  | "directResponse"
  | "delegate"
  | "rewrite"
  | "timeout"
  | "retries"
  | "fault"
  | "mirror"
  | "mirrors"
  | "mirrorPercent"
  | "mirror_percent"
  | "mirrorPercentage"
  | "corsPolicy"
  | "headers"
> = message("HTTPRoute", {
  name: to("name"),
  match: to("match"),
  route: to("split"),
  redirect: to("redirect"),
  directResponse: to("directResponse"),
  delegate: to("the rules of the VirtualService that is named"),
  rewrite: to("rewrite"),
  timeout: to("timeout"),
  retries: to("retry"),
  fault: to("fault"),
  mirror: to("mirror"),
  mirrors: to("mirror"),
  mirrorPercent: to("mirror[].percent"),
  mirror_percent: to("mirror[].percent"),
  mirrorPercentage: to("mirror[].percent"),
  corsPolicy: to("cors"),
  headers: to("requestHeaders, responseHeaders, rewrite.host"),
});

/** What Envoy answers for a destination that nobody knows. */
const NO_DESTINATION = 503;

/**
 * Reads one rule. It becomes several where matches by a pattern and others are under one rewrite, and where a share of it
 * leads to a name that no document tells of: that share is answered as an Envoy without such a cluster does.
 *
 * @param namespace the document's, whose services short hosts mean
 * @param hosts what the rule is for, where its document says that
 */
export const readHttpRoute = (
  fields: FieldsOf<typeof httpRouteMessage>,
  catalog: Catalog,
  namespace: string,
  hosts: readonly string[] = [],
): readonly RouteRule[] => {
  const name = fields.text("name") || undefined;
  const written = fields.messages("match", httpMatchMessage);
  const matches = written?.flatMap((each) => readHttpMatch(each) ?? []);
  const redirect = readRedirect(fields.message("redirect", redirectMessage));
  const directResponse = readDirectResponse(fields.message("directResponse", directResponseMessage));
  const rewrite = readRewrite(fields.message("rewrite", rewriteMessage));
  const { host, ...headers } = readHeaders(fields.message("headers", headersMessage));
  const destinations = readDestinations(fields, catalog, namespace, hosts);
  const retries = readRetries(fields.message("retries", retriesMessage));
  const fault = readFault(fields.message("fault", faultMessage));
  const mirror = readMirrors(fields, catalog, namespace);
  const cors = readCors(fields.message("corsPolicy", corsMessage));
  const timeout = fields.duration("timeout");
  checkActions(fields);
  if (redirect?.prefix !== undefined && matches?.some(({ path }) => path !== undefined && !("startsWith" in path))) {
    fields.refuse("redirect", "prefixRewrite needs a prefix to stand for: match the uri by prefix", "prefixRewrite");
  }
  // Every match of the rule is for gateways alone.
  if (matches !== undefined && written !== undefined && written.length > 0 && matches.length === 0) return [];
  const common: RouteRule = {
    ...(name === undefined ? {} : { name }),
    ...headers,
    ...(fault === undefined ? {} : { fault }),
    ...(cors === undefined ? {} : { cors }),
  };
  const sent: RouteRule = {
    ...(timeout === undefined ? {} : { timeout }),
    ...(retries.retry === undefined ? {} : { retry: retries.retry }),
    ...(retries.attemptTimeout === undefined ? {} : { attemptTimeout: retries.attemptTimeout }),
    ...(mirror.length === 0 ? {} : { mirror }),
  };
  const of = (some: readonly RouteMatch[] | undefined): Pick<RouteRule, "match"> =>
    some === undefined || some.length === 0 ? {} : { match: some };
  if (redirect !== undefined) return [{ ...common, ...of(withPrefix(matches, redirect.prefix)), redirect }];
  if (directResponse !== undefined) return [{ ...common, ...of(matches), directResponse }];
  const { split, unknownPercent } = destinations;
  const lost =
    unknownPercent === 0
      ? []
      : [{ ...common, ...of(shareOf(matches, unknownPercent)), directResponse: { status: NO_DESTINATION } }];
  if (unknownPercent === 100) return lost;
  const kept = groupsOf(withPrefix(matches, rewrite?.prefix), rewrite?.prefix).map(
    ({ match, byPattern }): RouteRule => {
      const { prefix, ...rest } = { ...rewrite, ...(host === undefined ? {} : { host }) };
      // Envoy takes a pattern's whole text for what the match named.
      const changed = prefix === undefined ? rest : byPattern ? { ...rest, path: prefix } : { ...rest, prefix };
      return {
        ...common,
        ...of(match),
        ...(split.length === 0 ? {} : { split }),
        ...(Object.keys(changed).length === 0 ? {} : { rewrite: changed }),
        ...sent,
      };
    },
  );
  return [...lost, ...kept];
};

const checkActions = (fields: FieldsOf<typeof httpRouteMessage>): void => {
  const set = (["route", "redirect", "directResponse", "delegate"] as const).filter((action) => fields.has(action));
  const [first, second] = set;
  if (first === undefined) fields.refuse("route", "a rule needs a route, a redirect, a directResponse or a delegate");
  else if (second !== undefined) fields.refuse(second, `${first} and ${second} are set: a rule does one of them`);
  if (fields.has("rewrite") && (fields.has("redirect") || fields.has("directResponse"))) {
    fields.refuse("rewrite", "a rule that answers by itself sends nothing that could be rewritten");
  }
};

interface ReadDestinations {
  readonly split: readonly WeightedDestination[];
  /** Share of what leads nowhere. */
  readonly unknownPercent: number;
}

const readDestinations = (
  fields: FieldsOf<typeof httpRouteMessage>,
  catalog: Catalog,
  namespace: string,
  hosts: readonly string[],
): ReadDestinations => {
  const routes = fields.messages("route", routeDestinationMessage) ?? [];
  if (fields.has("route") && routes.length === 0) fields.refuse("route", "a route needs a destination");
  const weights = routes.map((route) => route.integer("weight") ?? 0);
  for (const [at, weight] of weights.entries()) {
    if (weight < 0) fields.refuse("route", `a weight is at least 0, not ${weight}`, at, "weight");
  }
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (routes.length > 1 && total === 0) fields.refuse("route", "all weights are 0: no destination would be chosen");
  const read = routes.map((route, at) => {
    const to = readRouteDestination(route, catalog, namespace);
    // A single destination has all the weight, whatever is written.
    const weight = routes.length === 1 ? 1 : (weights[at] ?? 0);
    return { ...to, weight };
  });
  const unknown = read.filter(({ destination }) => destination?.unknown !== undefined);
  const lost = unknown.reduce((sum, { weight }) => sum + weight, 0);
  const whole = Math.max(1, routes.length === 1 ? 1 : total);
  for (const [at, { destination }] of read.entries()) {
    if (destination?.unknown === undefined) continue;
    fields.warn("route", `${destination.unknown}: its share is answered with ${NO_DESTINATION}`, at, "destination");
  }
  return {
    split: read
      .filter(({ destination }) => destination?.unknown === undefined)
      .map(({ destination, weight, headers }) =>
        weighted(destination, weight, headers, routes.length, namespace, hosts),
      ),
    unknownPercent: (100 * lost) / whole,
  };
};

type ReadHeaders = ReturnType<typeof readHeaders>;

const readRouteDestination = (
  route: FieldsOf<typeof routeDestinationMessage>,
  catalog: Catalog,
  namespace: string,
): { readonly destination: Destination | undefined; readonly headers: ReadHeaders } => {
  const fields = route.message("destination", destinationMessage);
  if (fields === undefined) route.refuse("destination", "a route needs a destination");
  return {
    destination: fields === undefined ? undefined : readDestination(fields, catalog, namespace),
    headers: readHeaders(route.message("headers", headersMessage)),
  };
};

const weighted = (
  destination: Destination | undefined,
  weight: number,
  { host, ...headers }: ReadHeaders,
  count: number,
  namespace: string,
  hosts: readonly string[],
): WeightedDestination => ({
  // A destination without a service is the one that was called, on its port.
  ...(destination === undefined || hosts.includes(destination.anyPortOf ?? "")
    ? {}
    : { service: referenceTo(destination.service, namespace) }),
  ...(destination?.subset === undefined ? {} : { subset: destination.subset }),
  ...(count === 1 ? {} : { weight }),
  ...(host === undefined ? {} : { rewrite: { host } }),
  ...headers,
});

/** What matches no path matches the prefix "/": that is what a rewritten prefix then stands for (Envoy). */
const withPrefix = (
  matches: readonly RouteMatch[] | undefined,
  prefix: string | undefined,
): readonly RouteMatch[] | undefined => {
  if (prefix === undefined) return matches;
  const all = matches === undefined || matches.length === 0 ? [{}] : matches;
  return all.map((match) => (match.path === undefined ? { path: { startsWith: "/" }, ...match } : match));
};

interface MatchGroup {
  readonly match: readonly RouteMatch[] | undefined;
  readonly byPattern: boolean;
}

/** Matches in a row that a rewritten prefix means the same for. */
const groupsOf = (matches: readonly RouteMatch[] | undefined, prefix: string | undefined): readonly MatchGroup[] => {
  if (prefix === undefined || matches === undefined) return [{ match: matches, byPattern: false }];
  const groups: { match: RouteMatch[]; byPattern: boolean }[] = [];
  for (const match of matches) {
    const byPattern = isPattern(match.path);
    const last = groups.at(-1);
    if (last?.byPattern === byPattern) last.match.push(match);
    else groups.push({ match: [match], byPattern });
  }
  return groups;
};

const isPattern = (path: PathMatch | undefined): boolean => path !== undefined && "regex" in path;

/** The same matches, for a share of the calls. */
const shareOf = (matches: readonly RouteMatch[] | undefined, percent: number): readonly RouteMatch[] | undefined => {
  if (percent >= 100) return matches;
  const all = matches === undefined || matches.length === 0 ? [{}] : matches;
  return all.map((match) => ({ ...match, fraction: percent }));
};
