import type { AuthenticationPolicy } from "./authentication-policy.ts";
import type { MeshPolicy, MtlsMode } from "./mesh-policy.ts";

/** What a listener accepts where nobody says otherwise: only mTLS. */
export const DEFAULT_MTLS_MODE: MtlsMode = "strict";

/** From the most to the least demanding. */
const byStrictness: readonly MtlsMode[] = ["strict", "permissive", "disable"];

/**
 * The mTLS mode of a service: what an authentication policy that names the service says, else one for its whole
 * namespace, else the mesh, else {@link DEFAULT_MTLS_MODE}. Of several on one level the strictest wins.
 */
export const effectiveMtlsMode = (inbound: {
  readonly mesh: MeshPolicy;
  readonly authentication: readonly AuthenticationPolicy[];
}): MtlsMode => {
  const ofService = inbound.authentication.filter((policy) => policy.selector?.service !== undefined);
  const ofNamespace = inbound.authentication.filter((policy) => policy.selector?.service === undefined);
  return strictestOf(ofService) ?? strictestOf(ofNamespace) ?? inbound.mesh.mtls ?? DEFAULT_MTLS_MODE;
};

const strictestOf = (policies: readonly AuthenticationPolicy[]): MtlsMode | undefined =>
  byStrictness.find((mode) => policies.some((policy) => policy.mtls?.mode === mode));
