import type { RouteMatch, RouteRule } from "@tulle/policy";
import { documentMessage } from "../document-message.ts";
import { Fields, type FieldsOf } from "../fields.ts";
import { type Message, message, noMeaning, to } from "../message.ts";
import type { SourceDocument } from "../source-document.ts";
import type { SourceKind } from "../source-kind.ts";
import { documentsOf, type TranslationContext } from "../translation-context.ts";
import type { Translator } from "../translator.ts";
import { type AttachedRule, attachRules } from "./attached-routes.ts";
import type { ReferenceContext } from "./backend-ref.ts";
import { Statuses } from "./condition.ts";
import {
  corsFilterMessage,
  filterMessage,
  fractionMessage,
  headerFilterMessage,
  headerMessage,
  mirrorFilterMessage,
  objectReferenceMessage,
  pathModifierMessage,
  redirectFilterMessage,
  rewriteFilterMessage,
} from "./filters.ts";
import {
  httpPathMatchMessage,
  httpRouteMatchMessage,
  namedMatchMessage,
  type OrderedMatch,
  readHttpRouteMatch,
} from "./http-match.ts";
import {
  backendRefMessage,
  lostAnswer,
  type ReadRule,
  readRetry,
  readRule,
  readTimeouts,
  retryMessage,
  timeoutsMessage,
} from "./http-rule.ts";
import { parentReferenceMessage, readParents } from "./parent-ref.ts";
import { readGrants, referenceGrantKind } from "./reference-grant.ts";
import { cookieConfigMessage, sessionPersistenceMessage } from "./session-persistence.ts";

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
    filterMessage,
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

/** HTTPRoutes that are bound to Services become Routes. */
export const httpRoutes: Translator = {
  kinds: [httpRouteKind, referenceGrantKind],
  translate: (context) => {
    const references: ReferenceContext = { context, mayRefer: readGrants(context), statuses: new Statuses() };
    const attached = documentsOf(context, httpRouteKind).flatMap((document) =>
      readRoute(document, context, references),
    );
    return attachRules(attached, "httproutes");
  },
};

const readRoute = (
  document: SourceDocument,
  context: TranslationContext,
  references: ReferenceContext,
): readonly AttachedRule[] => {
  const fields = new Fields(document.value, documentMessage, document, [], context.findings).message("spec", spec);
  if (fields === undefined) return [];
  const parents = readParents(fields, context, references.statuses);
  fields.texts("hostnames");
  return (
    fields.messages("rules", rule) ?? [new Fields({}, rule, document, ["spec", "rules"], context.findings)]
  ).flatMap((each, at) => {
    const matches = (each.messages("matches", httpRouteMatchMessage) ?? []).map(readHttpRouteMatch);
    const rules = readHttpRule(each, references, matches);
    const ordered: readonly OrderedMatch[] = matches.length === 0 ? [anything] : matches;
    return parents.flatMap((parent) =>
      ordered.flatMap(({ match, precedence }, place) =>
        partsOf(rules, match, nameOf(document, each, at, place, ordered.length)).map((written) => ({
          written,
          parent,
          precedence,
          document,
          rule: at,
          place,
        })),
      ),
    );
  });
};

/** Without a match a rule is for every path. */
const anything: OrderedMatch = {
  match: {},
  precedence: { exact: false, pathLength: 1, method: false, headers: 0, query: 0 },
};

const nameOf = (
  document: SourceDocument,
  fields: FieldsOf<typeof rule>,
  at: number,
  place: number,
  matches: number,
): string => `${document.name}/${fields.text("name") ?? at}${matches === 1 ? "" : `/${place}`}`;

const readHttpRule = (
  fields: FieldsOf<typeof rule>,
  references: ReferenceContext,
  matches: readonly OrderedMatch[],
): ReadRule => {
  const { rule: read, lostPercent } = readRule(fields, references);
  const retry = readRetry(fields.message("retry", retryMessage));
  const timeouts = readTimeouts(fields.message("timeouts", timeoutsMessage));
  const changesPrefix = read.redirect?.prefix ?? read.rewrite?.prefix;
  if (changesPrefix !== undefined && !(matches.length === 1 && isByPrefix(matches[0]))) {
    fields.refuse("filters", "replacePrefixMatch needs exactly one match, by PathPrefix");
  }
  return { rule: { ...read, ...timeouts, ...(retry === undefined ? {} : { retry }) }, lostPercent };
};

const isByPrefix = (match: OrderedMatch | undefined): boolean =>
  match !== undefined && (match.match.path === undefined || "prefix" in match.match.path);

/** A rule with one match; and before it the answer for the share of its calls that leads nowhere. */
export const partsOf = (
  { rule: read, lostPercent }: ReadRule,
  match: RouteMatch,
  name: string,
): readonly RouteRule[] => {
  const of = (some: RouteMatch): Pick<RouteRule, "match"> => (Object.keys(some).length === 0 ? {} : { match: [some] });
  if (lostPercent === 0) return [{ name, ...of(withPrefix(match, read)), ...read }];
  const headers = read.responseHeaders === undefined ? {} : { responseHeaders: read.responseHeaders };
  if (lostPercent === 100) return [{ name, ...of(match), ...headers, ...lostAnswer }];
  return [
    { name: `${name}/lost`, ...of({ ...match, fraction: lostPercent }), ...headers, ...lostAnswer },
    { name, ...of(withPrefix(match, read)), ...read },
  ];
};

/** A prefix that is replaced must be named: every path's is "/". */
const withPrefix = (match: RouteMatch, { redirect, rewrite }: RouteRule): RouteMatch =>
  match.path === undefined && (redirect?.prefix ?? rewrite?.prefix) !== undefined
    ? { path: { prefix: "/" }, ...match }
    : match;
