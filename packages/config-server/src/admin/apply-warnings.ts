import {
  namespaceOf,
  type Policy,
  policyKey,
  type RoutePolicy,
  referencedService,
  type ServiceKey,
  type ServicePolicy,
  serviceKey,
} from "@tulle/policy";
import type { EndpointList } from "@tulle/protocol";

/**
 * What is allowed and yet perhaps not meant: routes that send calls to a subset to which none of the service's endpoints
 * belongs. A service without any endpoint is not worth a word: its members are about to come.
 *
 * @param puts the policies that were applied.
 * @param all the policies of the mesh with them.
 */
export const applyWarnings = (
  puts: readonly Policy[],
  all: readonly Policy[],
  endpoints: EndpointList,
): readonly string[] => {
  const services = new Map(
    all
      .filter((policy) => policy.kind === "Service")
      .map((service) => [serviceKey(namespaceOf(service), service.name), service]),
  );
  const warnings = puts
    .filter((policy) => policy.kind === "Route")
    .flatMap((route) =>
      destinationsOf(route)
        .filter(({ service, subset }) => isEmpty(services.get(service), subset, endpoints))
        .map(
          ({ service, subset }) =>
            `${policyKey(route)} sends calls to ${service}:${subset}, and none of the service's endpoints belongs to it`,
        ),
    );
  return [...new Set(warnings)];
};

const destinationsOf = (route: RoutePolicy): readonly { readonly service: ServiceKey; readonly subset: string }[] =>
  route.rules.flatMap(({ split = [] }) =>
    split.flatMap(({ service, subset, weight }) =>
      subset === undefined || weight === 0
        ? []
        : (service === undefined ? route.services : [service]).map((reference) => ({
            service: referencedService(reference, namespaceOf(route)),
            subset,
          })),
    ),
  );

const isEmpty = (service: ServicePolicy | undefined, subset: string, { services }: EndpointList): boolean => {
  const labels = service?.subsets?.[subset];
  if (service === undefined || labels === undefined) return false;
  const key = serviceKey(namespaceOf(service), service.name);
  const endpoints = services.find((each) => each.service === key)?.endpoints ?? [];
  const belongs = (own: Readonly<Record<string, string>>): boolean =>
    Object.entries(labels).every(([name, value]) => own[name] === value);
  return endpoints.length > 0 && !endpoints.some((endpoint) => belongs(endpoint.labels));
};
