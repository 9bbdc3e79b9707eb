import type { AuthenticationPolicy } from "./authentication-policy.ts";
import { numberLimits } from "./field-limits.ts";
import { type MeshPolicy, type MtlsMode, rootNamespaceOf } from "./mesh-policy.ts";
import type { Check } from "./policy-check.ts";
import { namespaceOf } from "./policy-meta.ts";
import { selectsWorkloads } from "./selector.ts";
import type { ServicePolicy } from "./service-policy.ts";

/** What a listener accepts where nobody says otherwise: only mTLS. */
export const DEFAULT_MTLS_MODE: MtlsMode = "strict";

/** From the most to the least demanding. */
const byStrictness: readonly MtlsMode[] = ["strict", "permissive", "disable"];

/** The mTLS modes of one workload. */
export interface EffectiveMtls {
  /** Of every port that has none of its own. */
  readonly mode: MtlsMode;
  /** By the port that the instance listens on. */
  readonly ports: ReadonlyMap<number, MtlsMode>;
}

/** What the mTLS modes of a workload follow from. */
export interface MtlsSources {
  readonly mesh: MeshPolicy;
  readonly service: ServicePolicy;
  /** Those that select the workload. */
  readonly authentication: readonly AuthenticationPolicy[];
}

/**
 * The mTLS modes of a workload, as Istio's PeerAuthentication has them: what a policy that selects the workload says,
 * else one for its whole namespace, else one for the whole root namespace, else the `Mesh` policy, else
 * {@link DEFAULT_MTLS_MODE}. Of several on one level the strictest wins. A port's own mode counts only where the policy
 * selects the workload; a port that is `unset` there has the workload's mode.
 */
export const effectiveMtls = ({ mesh, service, authentication }: MtlsSources): EffectiveMtls => {
  const own = namespaceOf(service);
  // Selectors for mTLS do not reach beyond their namespace, not even from the root namespace (Istio).
  const ofWorkload = authentication.filter((policy) => namespaceOf(policy) === own && selectsWorkloads(policy));
  const general = authentication.filter((policy) => !selectsWorkloads(policy));
  const root = rootNamespaceOf(mesh);
  const mode =
    strictest(ofWorkload.map(modeOf)) ??
    strictest(general.filter((policy) => namespaceOf(policy) === own).map(modeOf)) ??
    strictest(general.filter((policy) => namespaceOf(policy) === root).map(modeOf)) ??
    mesh.mtls ??
    DEFAULT_MTLS_MODE;
  const named = new Set(ofWorkload.flatMap((policy) => Object.keys(policy.mtls?.ports ?? {})));
  const ports = new Map<number, MtlsMode>();
  for (const port of named) {
    const said = ofWorkload.map((policy) => set(policy.mtls?.ports?.[port]) ?? modeOf(policy));
    ports.set(Number(port), strictest(said) ?? mode);
  }
  return { mode, ports };
};

/** The mode of one port. */
export const mtlsModeOf = ({ mode, ports }: EffectiveMtls, port: number | undefined): MtlsMode =>
  (port === undefined || ports.size === 0 ? undefined : ports.get(port)) ?? mode;

/** Reports what is wrong with the modes of single ports. */
export const checkMtlsPorts = (policy: AuthenticationPolicy, check: Check): void => {
  const ports = policy.mtls?.ports;
  if (ports === undefined) return;
  if (!selectsWorkloads(policy)) {
    check.report(["mtls", "ports"], "ports mean something for single workloads only: set a selector");
  }
  for (const port of Object.keys(ports)) {
    if (/^[1-9]\d{0,4}$/.test(port) && Number(port) <= numberLimits.port.max) continue;
    check.report(["mtls", "ports", port], `"${port}" is not a port: write a whole number from 1 to 65535`);
  }
};

const modeOf = (policy: AuthenticationPolicy): MtlsMode | undefined => set(policy.mtls?.mode);

const set = (mode: MtlsMode | "unset" | undefined): MtlsMode | undefined => (mode === "unset" ? undefined : mode);

const strictest = (modes: readonly (MtlsMode | undefined)[]): MtlsMode | undefined =>
  byStrictness.find((mode) => modes.includes(mode));
