import type { Fields } from "../fields.ts";
import { type Message, message, noMeaning, to } from "../message.ts";
import type { SourceKind } from "../source-kind.ts";
import { grpcFilterMessage, readGrpcFilters } from "./filters.ts";
import { grpcAnswer } from "./grpc-answer.ts";
import { everyGrpcCall, grpcMethodMatchMessage, grpcRouteMatchMessage, readGrpcRouteMatch } from "./grpc-match.ts";
import { headerFilterMessage, headerMessage } from "./header-filter.ts";
import { fractionMessage, mirrorFilterMessage, objectReferenceMessage } from "./mirror-filter.ts";
import { namedMatchMessage } from "./named-match.ts";
import { parentReferenceMessage } from "./parent-ref.ts";
import type { RouteReader } from "./read-route.ts";
import { backendRefMessage, type RuleKind, readRule } from "./rule.ts";
import { cookieConfigMessage, sessionPersistenceMessage } from "./session-persistence.ts";

const spec: Message<"parentRefs" | "hostnames" | "rules" | "useDefaultGateways"> = message("GRPCRouteSpec", {
  parentRefs: to("Route.services"),
  hostnames: noMeaning("a route that is bound to a Service is for calls to that service, whatever the Host says"),
  rules: to("Route.rules"),
  useDefaultGateways: noMeaning("calls inside the mesh pass no gateway"),
});

const rule: Message<"name" | "matches" | "filters" | "backendRefs" | "sessionPersistence"> = message("GRPCRouteRule", {
  name: to("rules[].name"),
  matches: to("rules[].match"),
  filters: to("rules[].requestHeaders, responseHeaders, mirror"),
  backendRefs: to("rules[].split"),
  sessionPersistence: to("rules[].sessionAffinity"),
});

/** The Gateway API's GRPCRoute. */
export const grpcRouteKind: SourceKind = {
  group: "gateway.networking.k8s.io",
  kind: "GRPCRoute",
  versions: ["v1", "v1alpha2"],
  messages: [
    spec,
    parentReferenceMessage,
    rule,
    grpcRouteMatchMessage,
    grpcMethodMatchMessage,
    namedMatchMessage,
    grpcFilterMessage,
    headerFilterMessage,
    headerMessage,
    mirrorFilterMessage,
    objectReferenceMessage,
    fractionMessage,
    backendRefMessage,
    sessionPersistenceMessage,
    cookieConfigMessage,
  ],
};

/** Most matches of a rule: GRPCRoute allowed 8 at first, and 64 since. */
const MOST_MATCHES = 64;

const grpcRules: RuleKind = {
  lost: grpcAnswer("UNAVAILABLE", "the call leads to no backend"),
  filtersOf: (fields: Fields<"filters">, references) =>
    readGrpcFilters(fields.messages("filters", grpcFilterMessage) ?? [], references),
};

/** How GRPCRoutes are read. */
export const grpcRouteReader: RouteReader<keyof typeof spec.fields, keyof typeof rule.fields> = {
  kind: "grpc",
  source: grpcRouteKind,
  spec,
  rule,
  mostMatches: MOST_MATCHES,
  everyCall: everyGrpcCall,
  matchesOf: (fields) => (fields.messages("matches", grpcRouteMatchMessage) ?? []).map(readGrpcRouteMatch),
  readRule: (fields, _, references) => readRule(fields, grpcRules, references),
};
