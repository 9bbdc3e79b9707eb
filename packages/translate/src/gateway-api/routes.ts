import type { ServiceKey } from "@tulle/policy";
import type { SourceDocument } from "../source-document.ts";
import { documentsOf, type TranslationContext } from "../translation-context.ts";
import type { Translator } from "../translator.ts";
import { attachRoutes, type BoundRoute, findConflicts } from "./attached-routes.ts";
import type { ReferenceContext } from "./backend-ref.ts";
import { backendTrafficPolicyKinds, budgetsOf, readBackendTraffic, withSessions } from "./backend-traffic-policy.ts";
import { Statuses } from "./condition.ts";
import { grpcRouteReader } from "./grpc-route.ts";
import { grpcServices } from "./grpc-services.ts";
import { httpRouteReader } from "./http-route.ts";
import type { Conflicts } from "./parent-ref.ts";
import { byAgeAndName } from "./precedence.ts";
import { readRoute } from "./read-route.ts";
import { readGrants, referenceGrantKind } from "./reference-grant.ts";

/**
 * HTTPRoutes and GRPCRoutes that are bound to Services become Routes: one of each service, for both kinds. What backend traffic
 * policies say of sessions is said in them too.
 */
export const gatewayRoutes: Translator = {
  kinds: [httpRouteReader.source, grpcRouteReader.source, referenceGrantKind, ...backendTrafficPolicyKinds],
  translate: (context) => {
    const conflicts: Conflicts = new Map();
    const reached = new Map<SourceDocument, Set<ServiceKey>>();
    // A document stands for itself: one that is refused takes no other's rules with it.
    const bound = readRoutes(context, conflicts, reached)
      .filter(({ document }) => !context.findings.refuses(document))
      // Where documents stand must not matter.
      .sort((a, b) => byAgeAndName(a.document, b.document));
    findConflicts(bound, conflicts);
    const traffic = readBackendTraffic(context);
    return [
      ...withSessions(attachRoutes(bound.filter(({ parent }) => !conflicts.has(parent))), traffic),
      ...budgetsOf(traffic),
      ...grpcServices(bound, ({ document }) => reached.get(document) ?? [], context.catalog),
    ];
  },
};

const readRoutes = (
  context: TranslationContext,
  conflicts: Conflicts,
  reached: Map<SourceDocument, Set<ServiceKey>>,
): readonly BoundRoute[] => {
  const references: ReferenceContext = {
    context,
    mayRefer: readGrants(context),
    statuses: new Statuses(context.findings),
    home: "",
    reached: (document, service) => {
      const services = reached.get(document) ?? new Set();
      reached.set(document, services.add(service));
    },
  };
  return [
    ...documentsOf(context, httpRouteReader.source).flatMap((each) =>
      readRoute(each, httpRouteReader, references, conflicts),
    ),
    ...documentsOf(context, grpcRouteReader.source).flatMap((each) =>
      readRoute(each, grpcRouteReader, references, conflicts),
    ),
  ];
};
