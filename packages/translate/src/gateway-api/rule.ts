import type { RouteMatch, RouteRule, WeightedDestination } from "@tulle/policy";
import type { Fields, FieldsOf } from "../fields.ts";
import { referenceTo } from "../istio/destination.ts";
import { type Message, message, to } from "../message.ts";
import { type ReferenceContext, readServiceReference } from "./backend-ref.ts";
import { checkCount } from "./field-forms.ts";
import type { ReadFilters } from "./filters.ts";
import { readSessionPersistence, sessionPersistenceMessage } from "./session-persistence.ts";

/** The Gateway API's HTTPBackendRef and GRPCBackendRef. */
export const backendRefMessage: Message<"group" | "kind" | "name" | "namespace" | "port" | "weight" | "filters"> =
  message("HTTPBackendRef", {
    group: to("split[].service"),
    kind: to("split[].service"),
    name: to("split[].service"),
    namespace: to("split[].service"),
    port: to("whether the service has it"),
    weight: to("split[].weight"),
    filters: to("split[].requestHeaders, split[].responseHeaders"),
  });

/** What a rule does with its calls; its matches are given to it later. */
export interface ReadRule {
  readonly rule: RouteRule;
  /** Percent of the calls that lead nowhere. */
  readonly lostPercent: number;
  /** What those calls are answered. */
  readonly lost: RouteRule;
}

type RuleFields = Fields<"filters" | "backendRefs" | "sessionPersistence">;

/** How the rules of one kind of route are read. */
export interface RuleKind {
  /** Reads the filters of a rule or a backend. */
  filtersOf(fields: Fields<"filters">, references: ReferenceContext): ReadFilters;
  /** What calls are answered that lead nowhere. */
  readonly lost: RouteRule;
}

/** Most filters and backends of a rule (Gateway API). */
const MOST_ITEMS = 16;

/** Reads what a rule does: filters, backends, session. */
export const readRule = (fields: RuleFields, kind: RuleKind, references: ReferenceContext): ReadRule => {
  checkFilterCount(fields);
  const filters = kind.filtersOf(fields, references);
  const backends = fields.messages("backendRefs", backendRefMessage) ?? [];
  checkCount(fields, "backendRefs", backends, MOST_ITEMS);
  const sessionAffinity = readSessionPersistence(fields.message("sessionPersistence", sessionPersistenceMessage));
  const { lost } = kind;
  if (filters.redirect !== undefined) {
    if (backends.length > 0) fields.refuse("backendRefs", "a rule that redirects leads to no backend");
    return { rule: filters, lostPercent: 0, lost };
  }
  const { split, lostPercent } = readBackends(backends, kind, references);
  return {
    rule: {
      ...filters,
      ...(split.length === 0 ? {} : { split }),
      ...(sessionAffinity === undefined ? {} : { sessionAffinity }),
    },
    lostPercent,
    lost,
  };
};

const checkFilterCount = (fields: Fields<"filters">): void => {
  const filters = fields.raw("filters");
  if (Array.isArray(filters)) checkCount(fields, "filters", filters, MOST_ITEMS);
};

const MOST_WEIGHT = 1_000_000;

const readBackends = (
  backends: readonly FieldsOf<typeof backendRefMessage>[],
  kind: RuleKind,
  references: ReferenceContext,
): { readonly split: readonly WeightedDestination[]; readonly lostPercent: number } => {
  let total = 0;
  let lost = 0;
  const split: WeightedDestination[] = [];
  for (const backend of backends) {
    const weight = backend.integer("weight") ?? 1;
    if (weight < 0 || weight > MOST_WEIGHT)
      backend.refuse("weight", `${weight} is no weight: write 0 to ${MOST_WEIGHT}`);
    const key = readServiceReference(backend, references);
    checkFilterCount(backend);
    const changes = kind.filtersOf(backend, references);
    if (changes.redirect ?? changes.rewrite ?? changes.mirror ?? changes.cors) {
      references.statuses.refusedFor(backend.document, "IncompatibleFilters");
      backend.refuse("filters", "a backend's own filters change headers; others belong to the rule");
    }
    total += weight;
    if (key === undefined) lost += weight;
    else {
      split.push({
        service: referenceTo(key, references.home),
        ...(backends.length === 1 ? {} : { weight }),
        ...(changes.requestHeaders === undefined ? {} : { requestHeaders: changes.requestHeaders }),
        ...(changes.responseHeaders === undefined ? {} : { responseHeaders: changes.responseHeaders }),
      });
    }
  }
  return { split, lostPercent: total === 0 ? 100 : (100 * lost) / total };
};

/** A rule with one match; and before it the answer for the share of its calls that leads nowhere. */
export const partsOf = (
  { rule: read, lostPercent, lost }: ReadRule,
  match: RouteMatch,
  name: string,
): readonly RouteRule[] => {
  const of = (some: RouteMatch): Pick<RouteRule, "match"> => (Object.keys(some).length === 0 ? {} : { match: [some] });
  if (lostPercent === 0) return [{ name, ...of(withPrefix(match, read)), ...read }];
  const headers = read.responseHeaders === undefined ? {} : { responseHeaders: read.responseHeaders };
  if (lostPercent === 100) return [{ name, ...of(match), ...headers, ...lost }];
  return [
    { name: `${name}/lost`, ...of({ ...match, fraction: lostPercent }), ...headers, ...lost },
    { name, ...of(withPrefix(match, read)), ...read },
  ];
};

/** A prefix that is replaced must be named: every path's is "/". */
const withPrefix = (match: RouteMatch, { redirect, rewrite }: RouteRule): RouteMatch =>
  match.path === undefined && (redirect?.prefix ?? rewrite?.prefix) !== undefined
    ? { path: { prefix: "/" }, ...match }
    : match;
