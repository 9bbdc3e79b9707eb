import { type RoutePolicy, type RouteRule, type ServiceKey, splitServiceKey } from "@tulle/policy";
import type { SourceDocument } from "../source-document.ts";
import type { TranslatedPolicy } from "../translator.ts";
import { grpcAnswer } from "./grpc-answer.ts";
import type { Conflicts, Parent } from "./parent-ref.ts";
import { byPrecedence, type Placed } from "./precedence.ts";

/** What routes are for. */
export type RouteKind = "http" | "grpc";

/** One match of a route's rule with what becomes of it. */
export interface PlacedRule extends Placed {
  /** With the match as its only one, and no origin yet. */
  readonly written: RouteRule;
}

/** A route that is bound to a service. */
export interface BoundRoute {
  readonly kind: RouteKind;
  readonly parent: Parent;
  readonly document: SourceDocument;
  readonly rules: readonly PlacedRule[];
}

/** What is answered where no rule of a service's routes fits, as the Gateway API says. */
const refusals: Readonly<Record<RouteKind, RouteRule>> = {
  http: { directResponse: { status: 404 } },
  grpc: grpcAnswer("UNIMPLEMENTED", "no GRPCRoute fits the call"),
};

/** Notes routes that are bound where a route of a more specific kind is: on one port of a service GRPCRoutes win (GEP-1426). */
export const findConflicts = (bound: readonly BoundRoute[], conflicts: Conflicts): void => {
  const grpc = bound.filter(({ kind }) => kind === "grpc");
  for (const { kind, parent } of bound) {
    const winner = kind === "grpc" ? undefined : grpc.find((each) => takes(each.parent, parent));
    if (winner !== undefined) {
      conflicts.set(
        parent,
        `GRPCRoute ${winner.document.namespace}/${winner.document.name} is bound to the same service`,
      );
    }
  }
};

const takes = (winner: Parent, parent: Parent): boolean =>
  winner.service === parent.service &&
  winner.consumer === parent.consumer &&
  (winner.port === undefined || winner.port === parent.port);

/**
 * Makes one Route per service of all routes that are bound to it, in the order of the Gateway API. Routes of consumers, which
 * hold for callers of their own namespace, take the place of the producer's for those callers.
 */
export const attachRoutes = (bound: readonly BoundRoute[]): readonly TranslatedPolicy[] => {
  const byService = new Map<ServiceKey, BoundRoute[]>();
  for (const each of bound) {
    const routes = byService.get(each.parent.service);
    if (routes === undefined) byService.set(each.parent.service, [each]);
    else routes.push(each);
  }
  const names = new Set<string>();
  return [...byService]
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([service, routes]) => routeOf(service, routes, names));
};

const routeOf = (service: ServiceKey, bound: readonly BoundRoute[], names: Set<string>): TranslatedPolicy => {
  const { namespace, name } = splitServiceKey(service);
  const documents = [...new Set(bound.map(({ document }) => document))];
  const [first] = documents;
  const consumers = [...new Set(bound.flatMap(({ parent }) => parent.consumer ?? []))].sort();
  const producer = bound.filter(({ parent }) => parent.consumer === undefined);
  const rules = [
    ...consumers.flatMap((consumer) =>
      group(
        bound.filter(({ parent }) => parent.consumer === consumer),
        consumer,
      ),
    ),
    ...group(producer, undefined),
  ];
  const unmatched = producer.some(isWholeHttp) ? ({ unmatched: "refuse" } as const) : {};
  const policy: RoutePolicy = {
    kind: "Route",
    name: nameOf(service, documents, names),
    namespace,
    services: [name],
    // A route without rules matches nothing.
    rules: rules.length === 0 ? [refusals.http] : rules,
    ...unmatched,
    ...(first === undefined ? {} : { origin: first.place.origin }),
  };
  return { policy, from: documents };
};

/** The document's own name where the Route is made of it alone, unless another Route of the namespace has it. */
const nameOf = (service: ServiceKey, documents: readonly SourceDocument[], names: Set<string>): string => {
  const { namespace, name } = splitServiceKey(service);
  const [first] = documents;
  const own = documents.length === 1 && first !== undefined ? [first.name, `${first.name}-${name}`] : [];
  const all = `${name}-routes`;
  const free = [...own, all].find((each) => !names.has(`${namespace}/${each}`)) ?? `${all}-${names.size}`;
  names.add(`${namespace}/${free}`);
  return free;
};

const isWholeHttp = ({ kind, parent }: BoundRoute): boolean => kind === "http" && parent.port === undefined;

/** The rules for some callers in their order, each kind's with the refusal of what none of them fits. */
const group = (bound: readonly BoundRoute[], consumer: string | undefined): readonly RouteRule[] =>
  // GRPCRoutes of one port stand before HTTPRoutes of all ports.
  (["grpc", "http"] as const).flatMap((kind) => {
    const routes = bound.filter((each) => each.kind === kind);
    if (routes.length === 0) return [];
    const ordered = routes
      .flatMap(({ parent, rules }) => rules.map((rule) => ({ ...rule, parent })))
      .sort(byPrecedence)
      .map((each) => limited(each, each.parent));
    // Of the producer's whole service, the route itself refuses the rest.
    if (consumer === undefined && routes.some(isWholeHttp)) return ordered;
    return [...ordered, refusalOf(kind, routes, consumer)];
  });

const refusalOf = (kind: RouteKind, routes: readonly BoundRoute[], consumer: string | undefined): RouteRule => {
  const source = consumer === undefined ? {} : { source: { namespace: consumer } };
  const ports = [...new Set(routes.flatMap(({ parent }) => parent.port ?? []))];
  const whole = routes.some(({ parent }) => parent.port === undefined);
  if (!whole) return { match: ports.map((port) => ({ ...source, port })), ...refusals[kind] };
  return consumer === undefined ? refusals[kind] : { match: [source], ...refusals[kind] };
};

const limited = ({ written, document }: PlacedRule, { port, consumer }: Parent): RouteRule => {
  const bounds = {
    ...(port === undefined ? {} : { port }),
    ...(consumer === undefined ? {} : { source: { namespace: consumer } }),
  };
  const match = (written.match ?? [{}]).map((each) => ({ ...each, ...bounds }));
  const isAny = match.every((each) => Object.keys(each).length === 0);
  const { match: _, ...rest } = written;
  return { ...rest, ...(isAny ? {} : { match }), origin: document.place.origin };
};
