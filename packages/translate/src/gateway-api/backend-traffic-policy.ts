import {
  type Policy,
  parseDuration,
  type RetryBudget,
  type RoutePolicy,
  type SessionAffinity,
  splitServiceKey,
} from "@tulle/policy";
import { documentMessage } from "../document-message.ts";
import { Fields, type FieldsOf } from "../fields.ts";
import { type Message, message, to } from "../message.ts";
import type { SourceDocument } from "../source-document.ts";
import type { SourceKind } from "../source-kind.ts";
import { documentsOf, type TranslationContext } from "../translation-context.ts";
import type { TranslatedPolicy } from "../translator.ts";
import { Statuses } from "./condition.ts";
import { boundedDuration, gatewayDuration } from "./gateway-duration.ts";
import { firstOfEach, type PolicyTarget, policyTargetMessage, type Rejections, readTargets } from "./policy-target.ts";
import { byAgeAndName } from "./precedence.ts";
import { cookieConfigMessage, readSessionPersistence, sessionPersistenceMessage } from "./session-persistence.ts";

const spec: Message<"targetRefs" | "retryConstraint" | "sessionPersistence"> = message("BackendTrafficPolicySpec", {
  targetRefs: to("the Service that is meant"),
  retryConstraint: to("Service.retryBudget"),
  sessionPersistence: to("rules[].sessionAffinity of the routes that lead to the service alone"),
});

const retryConstraint: Message<"budget" | "budgetPercent" | "budgetInterval" | "minRetryRate"> = message(
  "RetryConstraint",
  {
    budget: to("Service.retryBudget.ratio, Service.retryBudget.ttl"),
    budgetPercent: to("Service.retryBudget.ratio"),
    budgetInterval: to("Service.retryBudget.ttl"),
    minRetryRate: to("Service.retryBudget.minPerSecond"),
  },
);

const budget: Message<"percent" | "interval"> = message("BudgetDetails", {
  percent: to("Service.retryBudget.ratio"),
  interval: to("Service.retryBudget.ttl"),
});

const requestRate: Message<"count" | "interval"> = message("RequestRate", {
  count: to("Service.retryBudget.minPerSecond"),
  interval: to("Service.retryBudget.minPerSecond"),
});

const messages = [
  spec,
  policyTargetMessage,
  retryConstraint,
  budget,
  requestRate,
  sessionPersistenceMessage,
  cookieConfigMessage,
];

/** The Gateway API's XBackendTrafficPolicy, and what it was called before. */
export const backendTrafficPolicyKinds: readonly SourceKind[] = [
  { group: "gateway.networking.x-k8s.io", kind: "XBackendTrafficPolicy", versions: ["v1alpha1"], messages },
  { group: "gateway.networking.x-k8s.io", kind: "BackendTrafficPolicy", versions: ["v1alpha1", "v1alpha2"], messages },
  { group: "gateway.networking.k8s.io", kind: "BackendTrafficPolicy", versions: ["v1alpha2"], messages },
  { group: "gateway.networking.k8s.io", kind: "BackendLBPolicy", versions: ["v1alpha2"], messages },
];

/** What a policy says of the traffic to a service. */
export interface BackendTraffic {
  readonly target: PolicyTarget;
  readonly retryBudget: RetryBudget | undefined;
  readonly sessionAffinity: SessionAffinity | undefined;
}

/** Reads the policies, of several for one service the oldest. */
export const readBackendTraffic = (context: TranslationContext): readonly BackendTraffic[] => {
  const statuses = new Statuses(context.findings);
  const rejections: Rejections = new Map();
  const read = backendTrafficPolicyKinds
    .flatMap((kind) => documentsOf(context, kind))
    .sort(byAgeAndName)
    .flatMap((document) => readPolicy(document, context, statuses, rejections))
    .filter(({ target }) => !context.findings.refuses(target.document));
  return firstOfEach(read, rejections);
};

const readPolicy = (
  document: SourceDocument,
  context: TranslationContext,
  statuses: Statuses,
  rejections: Rejections,
): readonly BackendTraffic[] => {
  const whole = new Fields(document.value, documentMessage, document, [], context.findings);
  const fields = whole.message("spec", spec);
  if (fields === undefined) {
    whole.refuse("spec", `a ${document.kind} needs its spec`);
    return [];
  }
  statuses.refusedFor(document, "Invalid");
  const targets = readTargets(fields, context, statuses, rejections);
  const retryBudget = readBudget(fields.message("retryConstraint", retryConstraint));
  const sessionAffinity = readSessionPersistence(fields.message("sessionPersistence", sessionPersistenceMessage));
  return targets.map((target) => ({ target, retryBudget, sessionAffinity }));
};

/** The Gateway API's defaults, written out, for the mesh may have others. */
const DEFAULTS = { percent: 20, interval: "10s", minCount: 10, minInterval: "1s" } as const;

const MOST_PER_SECOND = 10_000;

const readBudget = (fields: FieldsOf<typeof retryConstraint> | undefined): RetryBudget | undefined => {
  if (fields === undefined) return undefined;
  const details = fields.message("budget", budget);
  const percent = details?.integer("percent") ?? fields.integer("budgetPercent") ?? DEFAULTS.percent;
  if (percent < 0 || percent > 100) fields.refuse("budget", `${percent} is no share in percent`);
  if (details !== undefined) checkInterval(details, "interval", "1s");
  checkInterval(fields, "budgetInterval", "1s");
  const ttl =
    (details === undefined ? undefined : boundedDuration(details, "interval", "budgetTtl")) ??
    boundedDuration(fields, "budgetInterval", "budgetTtl") ??
    DEFAULTS.interval;
  return { ratio: percent / 100, minPerSecond: readFloor(fields.message("minRetryRate", requestRate)), ttl };
};

const readFloor = (fields: FieldsOf<typeof requestRate> | undefined): number => {
  const count = fields?.integer("count") ?? DEFAULTS.minCount;
  if (count < 1 || count > 1_000_000) fields?.refuse("count", `${count} is not from 1 to 1000000`);
  if (fields !== undefined) checkInterval(fields, "interval", "1ms");
  const interval = fields === undefined ? undefined : gatewayDuration(fields, "interval");
  const seconds = Math.max(1, parseDuration(interval ?? DEFAULTS.minInterval)) / 1_000;
  const perSecond = count / seconds;
  if (perSecond > MOST_PER_SECOND) {
    fields?.warn("count", `${perSecond} a second are more than a policy allows: ${MOST_PER_SECOND} are taken`);
  }
  return Math.min(MOST_PER_SECOND, perSecond);
};

/** An interval of the Gateway API is at most an hour. */
const checkInterval = <F extends string>(fields: Fields<F>, name: F, least: "1s" | "1ms"): void => {
  const written = gatewayDuration(fields, name);
  if (written === undefined) return;
  const ms = parseDuration(written);
  if (ms < parseDuration(least) || ms > parseDuration("1h")) fields.refuse(name, `${written} is not ${least} to 1h`);
};

/** The retry budgets, as parts of Service policies. */
export const budgetsOf = (traffic: readonly BackendTraffic[]): readonly TranslatedPolicy[] =>
  traffic.flatMap(({ target, retryBudget }) =>
    retryBudget === undefined
      ? []
      : [
          {
            policy: {
              kind: "Service",
              ...splitServiceKey(target.service),
              retryBudget,
              origin: target.document.place.origin,
            },
            from: [target.document],
            part: true,
          } as const,
        ],
  );

/**
 * Gives the sessions of services to the rules that lead to one of them alone and have no session of their own. A service that has
 * no route gets one for it.
 */
export const withSessions = (
  routes: readonly TranslatedPolicy[],
  traffic: readonly BackendTraffic[],
): readonly TranslatedPolicy[] => {
  const sessions = traffic.flatMap(({ target, sessionAffinity }) =>
    sessionAffinity === undefined ? [] : [{ ...target, sessionAffinity }],
  );
  if (sessions.length === 0) return routes;
  const affinityOf = new Map(sessions.map(({ service, sessionAffinity }) => [service as string, sessionAffinity]));
  const routed = new Set(routes.flatMap(({ policy }) => servicesOf(policy)));
  const without = sessions.filter(({ service }) => !routed.has(service));
  return [
    ...routes.map((each) =>
      each.policy.kind === "Route" ? { ...each, policy: withSession(each.policy, affinityOf) } : each,
    ),
    ...without.map(({ service, document, sessionAffinity }): TranslatedPolicy => {
      const { namespace, name } = splitServiceKey(service);
      const rules = [{ sessionAffinity }];
      const { origin } = document.place;
      return {
        policy: { kind: "Route", name: `${name}-sessions`, namespace, services: [name], rules, origin },
        from: [document],
      };
    }),
  ];
};

const servicesOf = (policy: Policy): readonly string[] =>
  policy.kind === "Route" ? policy.services.map((service) => keyOf(service, policy)) : [];

const withSession = (route: RoutePolicy, affinityOf: ReadonlyMap<string, SessionAffinity>): RoutePolicy => ({
  ...route,
  rules: route.rules.map((rule) => {
    const [only, ...others] = rule.split ?? [];
    if (only?.service === undefined || others.length > 0 || rule.sessionAffinity !== undefined) return rule;
    const sessionAffinity = affinityOf.get(keyOf(only.service, route));
    return sessionAffinity === undefined ? rule : { ...rule, sessionAffinity };
  }),
});

/** The routes that are made here name services as `name` or `name.namespace`. */
const keyOf = (service: string, { namespace }: RoutePolicy): string => {
  const dot = service.indexOf(".");
  return dot < 0 ? `${namespace}/${service}` : `${service.slice(dot + 1)}/${service.slice(0, dot)}`;
};
