import type { PolicyMeta } from "./policy-meta.ts";
import type { WorkloadSelector } from "./selector.ts";

/**
 * Who calls. All fields that are set must hold; within a field any value. A value is exact, or ends or begins with `*`, or is
 * `*` alone, which means any value that is there. A `not` field holds where none of its values fits, so also for a caller
 * that lacks the attribute.
 */
export interface AccessSource {
  /**
   * SPIFFE IDs without the scheme, as Istio writes them: `cluster.local/ns/default/sa/productpage`. `*` means any
   * authenticated peer; `cluster.local/` the mesh's own trust domain, its aliases included.
   */
  readonly principals?: readonly string[];
  readonly notPrincipals?: readonly string[];
  /** End users, by their verified token: `issuer/subject`. The last slash divides, for issuers may be URLs. */
  readonly requestPrincipals?: readonly string[];
  readonly notRequestPrincipals?: readonly string[];
  /** Namespaces of the peer's identity. */
  readonly namespaces?: readonly string[];
  readonly notNamespaces?: readonly string[];
  /** `account` in the policy's own namespace, or `namespace/account`. No wildcards; not together with principals or namespaces. */
  readonly serviceAccounts?: readonly string[];
  readonly notServiceAccounts?: readonly string[];
  /** Trust domains of the peer's identity. The mesh's own name, an alias of it and `cluster.local` mean all of its names. */
  readonly trustDomains?: readonly string[];
  readonly notTrustDomains?: readonly string[];
  /** IP addresses and CIDR ranges that the connection comes from. Istio's `ipBlocks`. */
  readonly addresses?: readonly string[];
  readonly notAddresses?: readonly string[];
  /** The same of the first caller, before the proxies that `Mesh.trustedProxies` counts. Istio's `remoteIpBlocks`. */
  readonly remoteAddresses?: readonly string[];
  readonly notRemoteAddresses?: readonly string[];
}

/** What is called. All fields that are set must hold; within a field any value. */
export interface AccessOperation {
  /** As the caller wrote it, port included where it wrote one; compared without case. */
  readonly hosts?: readonly string[];
  readonly notHosts?: readonly string[];
  /** The port that this process listens on. */
  readonly ports?: readonly number[];
  readonly notPorts?: readonly number[];
  /** Upper-case names; `*` alone means any. */
  readonly methods?: readonly string[];
  readonly notMethods?: readonly string[];
  /**
   * Exact, `prefix*`, `*suffix`, `*` for any, or a template in which `{*}` is one segment and `{**}` any number of them.
   * Compared to the normalised path without its query.
   */
  readonly paths?: readonly string[];
  readonly notPaths?: readonly string[];
  /**
   * Route templates as the framework has them (`/reviews/:id`); `*` any. Decided when Express or Fastify has found the route and
   * before its handlers run; where nobody tells a template, the call is refused. A call without a route has no template.
   */
  readonly routes?: readonly string[];
  readonly notRoutes?: readonly string[];
}

/** A further condition on one attribute. Where both lists are set, both must hold. */
export interface AccessCondition {
  /**
   * Istio's names: `request.headers[name]`, `source.ip`, `remote.ip`, `source.namespace`, `source.principal`,
   * `source.serviceAccount`, `request.auth.principal`, `request.auth.audiences`, `request.auth.presenter`,
   * `request.auth.claims[name][nested]`, `destination.ip`, `destination.port`, `connection.sni`.
   */
  readonly key: string;
  /** Any of them. At least one of `values` and `notValues` is set. */
  readonly values?: readonly string[];
  /** None of them. */
  readonly notValues?: readonly string[];
}

/** One rule: some source, some operation, all conditions. */
export interface AccessRule {
  /** For refusals and explanations. @default the rule's place, from 0 */
  readonly name?: string;
  /** @default any caller, authenticated or not */
  readonly from?: readonly AccessSource[];
  /** @default any call */
  readonly to?: readonly AccessOperation[];
  /** @default none */
  readonly when?: readonly AccessCondition[];
}

/** What becomes of calls that a rule fits. */
export type AccessAction = "allow" | "deny" | "audit" | "custom";

/**
 * Who may call what, decided by the receiving side. Custom goes before deny and deny before allow; once an allow policy
 * selects a service, what none allows is denied; an allow without rules allows nothing; an audit decides nothing and is
 * counted. In dry-run a policy is only reported. Known elsewhere as AuthorizationPolicy, intentions.
 */
export interface AccessPolicy extends PolicyMeta {
  readonly kind: "Access";
  /** @default every service of the namespace */
  readonly selector?: WorkloadSelector;
  /** @default "allow" */
  readonly action?: AccessAction;
  /** For `custom`, and only there: who is asked, by the name that `Mesh.authorizers` gives it. */
  readonly authorizer?: string;
  /** @default none: an allow that allows nothing */
  readonly rules?: readonly AccessRule[];
}
