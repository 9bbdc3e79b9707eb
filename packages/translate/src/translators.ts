import { gatewayRoutes } from "./gateway-api/routes.ts";
import { virtualServices } from "./istio/virtual-service.ts";
import { services } from "./services.ts";
import type { Translator } from "./translator.ts";

/** Who translates what. Each kind is in one of them. */
export const translators: readonly Translator[] = [services, virtualServices, gatewayRoutes];
