import type { MeshPolicy } from "./mesh-policy.ts";
import type { Check } from "./policy-check.ts";
import { isTrustDomain } from "./spiffe-id.ts";

/** Further names of the mesh's own trust domain. */
export const trustDomainAliasesOf = (mesh: MeshPolicy): readonly string[] => mesh.trustDomainAliases ?? [];

/** In policies it means the mesh's own trust domain, whatever that is called (Istio). */
const LOCAL_TRUST_DOMAIN = "cluster.local";

/**
 * What a principal of a policy stands for: one of the mesh's own trust domain means the same workload under each of the
 * domain's names, as in Istio. Others stand for themselves.
 */
export const principalsMeant = (
  principal: string,
  trustDomain: string,
  aliases: readonly string[],
): readonly string[] => {
  const slash = principal.indexOf("/");
  const domain = slash < 0 ? "" : principal.slice(0, slash);
  const own = [trustDomain, ...aliases];
  if (domain !== LOCAL_TRUST_DOMAIN && !own.includes(domain)) return [principal];
  return [...new Set(own)].map((each) => `${each}${principal.slice(slash)}`);
};

/** Reports what is wrong with the aliases. */
export const checkTrustDomainAliases = (mesh: MeshPolicy, check: Check): void => {
  for (const [at, alias] of trustDomainAliasesOf(mesh).entries()) {
    if (isTrustDomain(alias)) continue;
    check.report(
      ["trustDomainAliases", at],
      `"${alias}" is not a trust domain: write a-z, 0-9, ".", "-" and "_", at most 255 characters`,
    );
  }
};
