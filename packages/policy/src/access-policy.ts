import type { PolicyMeta } from "./policy-meta.ts";
import type { WorkloadSelector } from "./selector.ts";

/** Who calls. All fields that are set must hold; within a field any value. Values may begin or end with `*`. */
export interface AccessSource {
  /** SPIFFE IDs without the scheme, as Istio writes them: `cluster.local/ns/default/sa/productpage`. `*` means any authenticated peer. */
  readonly principals?: readonly string[];
  readonly notPrincipals?: readonly string[];
  readonly namespaces?: readonly string[];
  readonly notNamespaces?: readonly string[];
  /** Not supported yet, like all fields below. */
  readonly trustDomains?: readonly string[];
  readonly serviceAccounts?: readonly string[];
  readonly requestPrincipals?: readonly string[];
  readonly addresses?: readonly string[];
}

/** What is called. All fields that are set must hold; within a field any value. */
export interface AccessOperation {
  /** Upper-case names; `*` alone means any. */
  readonly methods?: readonly string[];
  readonly notMethods?: readonly string[];
  /** Exact, `prefix*`, `*suffix`, or `*` for any. Compared to the normalised path without its query. */
  readonly paths?: readonly string[];
  readonly notPaths?: readonly string[];
  /** Not supported yet, like all fields below. */
  readonly hosts?: readonly string[];
  readonly ports?: readonly number[];
}

/** One rule: some source, some operation, all conditions. */
export interface AccessRule {
  /** For refusals and explanations. @default the rule's place, from 0 */
  readonly name?: string;
  /** @default any caller, authenticated or not */
  readonly from?: readonly AccessSource[];
  /** @default any call */
  readonly to?: readonly AccessOperation[];
  /** Not supported yet. */
  readonly when?: readonly Readonly<Record<string, unknown>>[];
}

/**
 * Who may call what, decided by the receiving side. Deny goes before allow; once an allow policy selects a service, what
 * none allows is denied; an allow without rules allows nothing. Known elsewhere as AuthorizationPolicy, intentions.
 */
export interface AccessPolicy extends PolicyMeta {
  readonly kind: "Access";
  /** @default every service of the namespace */
  readonly selector?: WorkloadSelector;
  /** `audit` and `custom` are not supported yet. @default "allow" */
  readonly action?: "allow" | "deny" | "audit" | "custom";
  /** @default none: an allow that allows nothing */
  readonly rules?: readonly AccessRule[];
}
