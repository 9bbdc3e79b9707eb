import { balancingAndHealth } from "./balancing-and-health.ts";
import { discoveryAndOutside } from "./discovery-and-outside.ts";
import type { FeatureRow } from "./feature-row.ts";
import { identityAndAccess } from "./identity-and-access.ts";
import { routingAndResilience } from "./routing-and-resilience.ts";

/** All rows that are built or left out with a reason. */
export const featureRows: readonly FeatureRow[] = [
  ...discoveryAndOutside,
  ...balancingAndHealth,
  ...routingAndResilience,
  ...identityAndAccess,
];
