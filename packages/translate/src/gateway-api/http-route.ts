import type { Fields, FieldsOf } from "../fields.ts";
import { type Message, message, noMeaning, to } from "../message.ts";
import type { SourceKind } from "../source-kind.ts";
import type { ReferenceContext } from "./backend-ref.ts";
import { corsFilterMessage } from "./cors-filter.ts";
import { httpFilterMessage, readHttpFilters } from "./filters.ts";
import { headerFilterMessage, headerMessage } from "./header-filter.ts";
import {
  everyHttpCall,
  httpPathMatchMessage,
  httpRouteMatchMessage,
  isByPrefix,
  type OrderedMatch,
  readHttpRouteMatch,
} from "./http-match.ts";
import { fractionMessage, mirrorFilterMessage, objectReferenceMessage } from "./mirror-filter.ts";
import { namedMatchMessage } from "./named-match.ts";
import { parentReferenceMessage } from "./parent-ref.ts";
import { pathModifierMessage, redirectFilterMessage, rewriteFilterMessage } from "./path-filters.ts";
import type { RouteReader } from "./read-route.ts";
import { backendRefMessage, type ReadRule, type RuleKind, readRule } from "./rule.ts";
import { cookieConfigMessage, sessionPersistenceMessage } from "./session-persistence.ts";
import { readRetry, readTimeouts, retryMessage, timeoutsMessage } from "./timeouts-and-retry.ts";

const spec: Message<"parentRefs" | "hostnames" | "rules" | "useDefaultGateways"> = message("HTTPRouteSpec", {
  parentRefs: to("Route.services"),
  hostnames: noMeaning("a route that is bound to a Service is for calls to that service, whatever the Host says"),
  rules: to("Route.rules"),
  useDefaultGateways: noMeaning("calls inside the mesh pass no gateway"),
});

const rule: Message<"name" | "matches" | "filters" | "backendRefs" | "timeouts" | "retry" | "sessionPersistence"> =
  message("HTTPRouteRule", {
    name: to("rules[].name"),
    matches: to("rules[].match"),
    filters: to("rules[].requestHeaders, responseHeaders, redirect, rewrite, mirror, cors"),
    backendRefs: to("rules[].split"),
    timeouts: to("rules[].timeout, rules[].attemptTimeout"),
    retry: to("rules[].retry"),
    sessionPersistence: to("rules[].sessionAffinity"),
  });

/** The Gateway API's HTTPRoute. */
export const httpRouteKind: SourceKind = {
  group: "gateway.networking.k8s.io",
  kind: "HTTPRoute",
  versions: ["v1", "v1beta1"],
  messages: [
    spec,
    parentReferenceMessage,
    rule,
    httpRouteMatchMessage,
    httpPathMatchMessage,
    namedMatchMessage,
    httpFilterMessage,
    headerFilterMessage,
    headerMessage,
    mirrorFilterMessage,
    objectReferenceMessage,
    fractionMessage,
    redirectFilterMessage,
    rewriteFilterMessage,
    pathModifierMessage,
    corsFilterMessage,
    backendRefMessage,
    timeoutsMessage,
    retryMessage,
    sessionPersistenceMessage,
    cookieConfigMessage,
  ],
};

/** Most matches of a rule (Gateway API). */
const MOST_MATCHES = 64;

/** How HTTPRoutes are read. */
export const httpRouteReader: RouteReader<keyof typeof spec.fields, keyof typeof rule.fields> = {
  kind: "http",
  source: httpRouteKind,
  spec,
  rule,
  mostMatches: MOST_MATCHES,
  everyCall: everyHttpCall,
  matchesOf: (fields) => (fields.messages("matches", httpRouteMatchMessage) ?? []).map(readHttpRouteMatch),
  readRule: (fields, matches, references) => readHttpRule(fields, matches, references),
};

/** What the Gateway API answers for a backend that is not there. */
const NO_BACKEND = 500;

const httpRules: RuleKind = {
  lost: { directResponse: { status: NO_BACKEND } },
  filtersOf: (fields: Fields<"filters">, references) =>
    readHttpFilters(fields.messages("filters", httpFilterMessage) ?? [], references),
};

const readHttpRule = (
  fields: FieldsOf<typeof rule>,
  matches: readonly OrderedMatch[],
  references: ReferenceContext,
): ReadRule => {
  const { rule: read, ...lost } = readRule(fields, httpRules, references);
  const retry = readRetry(fields.message("retry", retryMessage));
  const timeouts = readTimeouts(fields.message("timeouts", timeoutsMessage));
  const changesPrefix = read.redirect?.prefix ?? read.rewrite?.prefix;
  const [only = everyHttpCall] = matches;
  if (changesPrefix !== undefined && (matches.length > 1 || !isByPrefix(only))) {
    fields.refuse("filters", "replacePrefixMatch needs exactly one match, by PathPrefix");
  }
  return { ...lost, rule: { ...read, ...timeouts, ...(retry === undefined ? {} : { retry }) } };
};
