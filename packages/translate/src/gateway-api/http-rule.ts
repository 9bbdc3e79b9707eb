import type { Duration, RetryPolicy, RouteRule, WeightedDestination } from "@tulle/policy";
import { parseDuration } from "@tulle/policy";
import type { Fields, FieldsOf } from "../fields.ts";
import { referenceTo } from "../istio/destination.ts";
import { type Message, message, to } from "../message.ts";
import { type ReferenceContext, readServiceReference } from "./backend-ref.ts";
import { filterMessage, readFilters } from "./filters.ts";
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

/** The Gateway API's HTTPRouteTimeouts. */
export const timeoutsMessage: Message<"request" | "backendRequest"> = message("HTTPRouteTimeouts", {
  request: to("timeout"),
  backendRequest: to("attemptTimeout"),
});

/** The Gateway API's HTTPRouteRetry. */
export const retryMessage: Message<"codes" | "attempts" | "backoff"> = message("HTTPRouteRetry", {
  codes: to("retry.statuses"),
  attempts: to("retry.retries"),
  backoff: to("retry.backoff.base"),
});

/** What the Gateway API answers for a backend that is not there. */
const NO_BACKEND = 500;

/** What a rule does with its calls; its matches are given to it later. */
export interface ReadRule {
  readonly rule: RouteRule;
  /** Percent of the calls that lead nowhere, and are answered with 500. */
  readonly lostPercent: number;
}

/** The answer for calls that lead nowhere. */
export const lostAnswer: RouteRule = { directResponse: { status: NO_BACKEND } };

type RuleFields = Fields<"filters" | "backendRefs" | "sessionPersistence">;

/** Reads what a rule does: filters, backends, session. Time and retries are those of HTTP alone. */
export const readRule = (fields: RuleFields, references: ReferenceContext): ReadRule => {
  const filters = readFilters(fields.messages("filters", filterMessage) ?? [], references);
  const backends = fields.messages("backendRefs", backendRefMessage) ?? [];
  const sessionAffinity = readSessionPersistence(fields.message("sessionPersistence", sessionPersistenceMessage));
  if (filters.redirect !== undefined) {
    if (backends.length > 0) fields.refuse("backendRefs", "a rule that redirects leads to no backend");
    return { rule: filters, lostPercent: 0 };
  }
  const { split, lostPercent } = readBackends(backends, references);
  return {
    rule: {
      ...filters,
      ...(split.length === 0 ? {} : { split }),
      ...(sessionAffinity === undefined ? {} : { sessionAffinity }),
    },
    lostPercent,
  };
};

const MOST_WEIGHT = 1_000_000;

const readBackends = (
  backends: readonly FieldsOf<typeof backendRefMessage>[],
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
    const changes = readFilters(backend.messages("filters", filterMessage) ?? [], references);
    if (changes.redirect ?? changes.rewrite ?? changes.mirror ?? changes.cors) {
      backend.refuse("filters", "a backend's own filters change headers; others belong to the rule");
    }
    total += weight;
    if (key === undefined) lost += weight;
    else {
      split.push({
        service: referenceTo(key, backend.document.namespace),
        ...(backends.length === 1 ? {} : { weight }),
        ...(changes.requestHeaders === undefined ? {} : { requestHeaders: changes.requestHeaders }),
        ...(changes.responseHeaders === undefined ? {} : { responseHeaders: changes.responseHeaders }),
      });
    }
  }
  return { split, lostPercent: total === 0 ? 100 : (100 * lost) / total };
};

/** Reads a rule's limits of time. */
export const readTimeouts = (
  fields: FieldsOf<typeof timeoutsMessage> | undefined,
): { readonly timeout?: Duration; readonly attemptTimeout?: Duration } => {
  if (fields === undefined) return {};
  const timeout = gatewayDuration(fields, "request");
  const attemptTimeout = gatewayDuration(fields, "backendRequest");
  if (timeout !== undefined && attemptTimeout !== undefined) {
    const [whole, attempt] = [parseDuration(timeout), parseDuration(attemptTimeout)];
    if (whole > 0 && attempt > whole)
      fields.refuse("backendRequest", `${attemptTimeout} is longer than the request's ${timeout}`);
  }
  return {
    ...(timeout === undefined ? {} : { timeout }),
    ...(attemptTimeout === undefined ? {} : { attemptTimeout }),
  };
};

/** GEP-2257: whole numbers, up to five digits each, up to four parts. */
const gatewayDuration = <F extends string>(fields: Fields<F>, name: F): Duration | undefined => {
  const written = fields.raw(name);
  if (written === undefined) return undefined;
  if (typeof written === "string" && /^(?:\d{1,5}(?:h|ms|m|s)){1,4}$/.test(written)) return fields.duration(name);
  fields.refuse(name, `${JSON.stringify(written)} is no duration of the Gateway API, such as "500ms" or "1m30s"`);
  return undefined;
};

const MOST_RETRIES = 10;

/** Reads a rule's retries. What failed before an answer came is repeated too. */
export const readRetry = (fields: FieldsOf<typeof retryMessage> | undefined): RetryPolicy | undefined => {
  if (fields === undefined) return undefined;
  const statuses: number[] = [];
  for (const [at, code] of (fields.integers("codes") ?? []).entries()) {
    if (code < 400 || code > 599) fields.refuse("codes", `${code} is no failure: write 400 to 599`, at);
    else statuses.push(code);
  }
  const attempts = fields.integer("attempts");
  const base = gatewayDuration(fields, "backoff");
  if (attempts !== undefined && attempts < 0) fields.refuse("attempts", `${attempts} is no number of attempts`);
  if ((attempts ?? 0) > MOST_RETRIES) {
    fields.warn("attempts", `${attempts} is more than a policy allows: ${MOST_RETRIES} are made`);
  }
  return {
    ...(attempts === undefined ? {} : { retries: Math.min(attempts, MOST_RETRIES) }),
    on: ["connect-failure", "refused-stream", "reset"],
    ...(statuses.length === 0 ? {} : { statuses }),
    nonIdempotent: true,
    ...(base === undefined ? {} : { backoff: { base } }),
  };
};
