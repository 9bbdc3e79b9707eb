import { type RoutePolicy, type RouteRule, type ServiceKey, splitServiceKey } from "@tulle/policy";
import type { TranslatedPolicy } from "../translator.ts";
import type { Parent } from "./parent-ref.ts";
import { byPrecedence, type Placed } from "./precedence.ts";

/** One match of a route's rule with what becomes of it, bound to a service. */
export interface AttachedRule extends Placed {
  readonly parent: Parent;
  /** With the match as its only one, and no origin yet. */
  readonly written: RouteRule;
}

/** What the Gateway API answers where no rule of a service's routes fits. */
const NO_ROUTE = 404;

/**
 * Makes one Route per service of all rules that are bound to it, in the order of the Gateway API. Rules of consumers, which
 * hold for callers of their own namespace, take the place of the producer's for those callers.
 *
 * @param kind names the Route beside those of other kinds.
 */
export const attachRules = (attached: readonly AttachedRule[], kind: string): readonly TranslatedPolicy[] => {
  const byService = new Map<ServiceKey, AttachedRule[]>();
  for (const each of attached) {
    const rules = byService.get(each.parent.service);
    if (rules === undefined) byService.set(each.parent.service, [each]);
    else rules.push(each);
  }
  return [...byService].map(([service, rules]) => routeOf(service, rules, kind));
};

const routeOf = (service: ServiceKey, attached: readonly AttachedRule[], kind: string): TranslatedPolicy => {
  const { namespace, name } = splitServiceKey(service);
  const documents = [...new Set(attached.map(({ document }) => document))];
  const [first] = documents;
  const consumers = [...new Set(attached.flatMap(({ parent }) => parent.consumer ?? []))].sort();
  const producer = attached.filter(({ parent }) => parent.consumer === undefined);
  const rules = [
    ...consumers.flatMap((consumer) =>
      group(
        attached.filter(({ parent }) => parent.consumer === consumer),
        consumer,
      ),
    ),
    ...(producer.length === 0 ? [] : group(producer, undefined)),
  ];
  const whole = producer.some(({ parent }) => parent.port === undefined);
  const policy: RoutePolicy = {
    kind: "Route",
    name: documents.length === 1 && first !== undefined ? first.name : `${name}-${kind}`,
    namespace,
    services: [name],
    rules,
    ...(whole ? { unmatched: "refuse" } : {}),
    ...(first === undefined ? {} : { origin: first.place.origin }),
  };
  return { policy, from: documents };
};

/** The rules for some callers in their order, and the refusal of what none of them fits. */
const group = (attached: readonly AttachedRule[], consumer: string | undefined): readonly RouteRule[] => {
  const ordered = [...attached].sort(byPrecedence).map((each) => limited(each, consumer));
  const ports = [...new Set(attached.flatMap(({ parent }) => parent.port ?? []))];
  const whole = attached.some(({ parent }) => parent.port === undefined);
  const source = consumer === undefined ? {} : { source: { namespace: consumer } };
  // Of the producer's whole service, the route itself refuses the rest.
  if (whole) return consumer === undefined ? ordered : [...ordered, refusal([source])];
  return [...ordered, refusal(ports.map((port) => ({ ...source, port })))];
};

const refusal = (match: NonNullable<RouteRule["match"]>): RouteRule => ({
  match,
  directResponse: { status: NO_ROUTE },
});

const limited = ({ written, parent, document }: AttachedRule, consumer: string | undefined): RouteRule => {
  const bounds = {
    ...(parent.port === undefined ? {} : { port: parent.port }),
    ...(consumer === undefined ? {} : { source: { namespace: consumer } }),
  };
  const match = (written.match ?? [{}]).map((each) => ({ ...each, ...bounds }));
  const isAny = match.every((each) => Object.keys(each).length === 0);
  const { match: _, ...rest } = written;
  return { ...rest, ...(isAny ? {} : { match }), origin: document.place.origin };
};
