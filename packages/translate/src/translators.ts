import { backendTlsPolicies } from "./gateway-api/backend-tls-policy.ts";
import { gatewayRoutes } from "./gateway-api/routes.ts";
import { gatewayKindsWithoutMeaning } from "./gateway-api/without-meaning.ts";
import { authorizationPolicies } from "./istio/authorization-policy.ts";
import { gateways } from "./istio/gateway.ts";
import { meshConfigs } from "./istio/mesh-config.ts";
import { peerAuthentications } from "./istio/peer-authentication.ts";
import { proxyConfigs } from "./istio/proxy-config.ts";
import { proxyExtensions } from "./istio/proxy-extensions.ts";
import { requestAuthentications } from "./istio/request-authentication.ts";
import { retiredSecurity } from "./istio/retired-security.ts";
import { sidecars } from "./istio/sidecar.ts";
import { telemetries } from "./istio/telemetry.ts";
import { virtualServices } from "./istio/virtual-service.ts";
import { workloadGroups } from "./istio/workload-group.ts";
import { services } from "./services.ts";
import type { Translator } from "./translator.ts";

/** Who translates what. Each kind is in one of them. */
export const translators: readonly Translator[] = [
  services,
  virtualServices,
  gatewayRoutes,
  authorizationPolicies,
  peerAuthentications,
  requestAuthentications,
  meshConfigs,
  sidecars,
  telemetries,
  proxyConfigs,
  proxyExtensions,
  retiredSecurity,
  backendTlsPolicies,
  gatewayKindsWithoutMeaning,
  gateways,
  workloadGroups,
];
