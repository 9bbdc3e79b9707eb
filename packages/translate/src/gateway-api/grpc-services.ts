import { type ServiceKey, splitServiceKey } from "@tulle/policy";
import type { Catalog } from "../catalog.ts";
import { protocolOf } from "../services.ts";
import type { TranslatedPolicy } from "../translator.ts";
import type { BoundRoute } from "./attached-routes.ts";

/**
 * What services speak that GRPCRoutes are bound to or lead to, where their own ports do not say it: the Gateway API lets it be
 * inferred from the route. With a port of HTTP beside those of gRPC it is HTTP/2, in which members answer either.
 */
export const grpcServices = (
  bound: readonly BoundRoute[],
  reachedBy: (route: BoundRoute) => Iterable<ServiceKey>,
  { services }: Catalog,
): readonly TranslatedPolicy[] => {
  const routes = bound.filter(({ kind }) => kind === "grpc");
  const keys = new Set(routes.flatMap((route) => [route.parent.service, ...reachedBy(route)]));
  return [...keys].sort().flatMap((key) => {
    const service = services.get(key);
    if (service === undefined || protocolOf(service.ports) !== undefined) return [];
    const speaksHttp = service.ports.some(({ protocol }) => protocol === "http");
    const protocol = speaksHttp ? ("http2" as const) : ("grpc" as const);
    const policy = { kind: "Service" as const, ...splitServiceKey(key), protocol };
    return [{ policy, from: [service.document], part: true as const }];
  });
};
