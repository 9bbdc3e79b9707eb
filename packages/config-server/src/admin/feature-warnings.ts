import {
  needsFullAccess,
  type Policy,
  type PolicyFeature,
  type PolicyKey,
  policyFeatures,
  policyKey,
} from "@tulle/policy";
import type { MemberStatus } from "@tulle/protocol";
import { patternsForRe2 } from "./policy-regex.ts";

/** Members that a warning names; of more it tells the number. */
const MAX_NAMED = 20;

const NEWER = "bring a newer tulle there";

/** What each feature is, for people, and how a member comes by it. */
const meanings: Readonly<
  Record<PolicyFeature, { readonly why: string; readonly effect: string; readonly remedy: string }>
> = {
  "policy:regex-re2": {
    why: "a pattern that is not proven to be linear runs only on re2js",
    effect: "each refuses the revision when it calls the service",
    remedy: 'install the package "re2js" beside tulle there',
  },
  "policy:external-service": {
    why: "it is of services outside the mesh",
    effect: "each goes on as if the hosts were not named, and refuses a Service that it calls with tls or fallback",
    remedy: NEWER,
  },
  "policy:locality": {
    why: "it prefers some localities",
    effect: "each refuses the revision when it calls the service",
    remedy: NEWER,
  },
  "policy:health-check": {
    why: "it has endpoints checked",
    effect: "each refuses the revision when it calls the service",
    remedy: NEWER,
  },
  "policy:endpoint-session": {
    why: "its sessions stay with endpoints",
    effect: "each keeps them with their destination, and begins them without an endpoint",
    remedy: NEWER,
  },
  "policy:service-overrides": {
    why: "it has several ports, or says otherwise of some subsets or ports",
    effect: "each refuses the revision when it calls the service",
    remedy: NEWER,
  },
  "policy:jwt": {
    why: "it is of tokens of end users",
    effect: "each refuses the revision when the policy is for its service",
    remedy: NEWER,
  },
  "policy:http2": {
    why: "it is of HTTP/2 or gRPC",
    effect: "each refuses a revision that brings it the service, as its own or as one that it calls",
    remedy: NEWER,
  },
  "policy:access-full": {
    why: "it uses parts of access policies that came later",
    effect: "each that it is for refuses the revision and stays on its last good one",
    remedy: NEWER,
  },
  "policy:workloads": {
    why: "it selects workloads by their labels or ports, or names further namespaces or trust domains of the mesh",
    effect: "each that it is for refuses the revision and stays on its last good one",
    remedy: NEWER,
  },
};

/**
 * What the mesh's policies may ask of members that cannot do it. A member that lacks a feature refuses a revision that brings
 * it such a policy and stays on its last good one, so whoever applies should hear of it first.
 *
 * @param puts the policies that were applied, with their proofs.
 * @returns one warning per feature, with the policies that need it and the connected members that lack it.
 */
export const featureWarnings = (puts: readonly Policy[], members: readonly MemberStatus[]): readonly string[] =>
  [...neededBy(puts)].flatMap(([feature, keys]) => {
    const lacking = members.filter(({ connected, features }) => connected && !features.includes(feature));
    if (lacking.length === 0) return [];
    const { why, effect, remedy } = meanings[feature];
    const verb = keys.length === 1 ? "needs" : "need";
    return [
      `${shortened(keys)} ${verb} ${feature} (${why}), which these members lack: ${shortened(lacking.map(nameOf))}; ${effect}: ${remedy}`,
    ];
  });

const neededBy = (puts: readonly Policy[]): ReadonlyMap<PolicyFeature, readonly PolicyKey[]> => {
  const needs: Readonly<Record<PolicyFeature, (policy: Policy) => boolean>> = {
    "policy:regex-re2": (policy) => patternsForRe2(policy).length > 0,
    "policy:external-service": (policy) =>
      policy.kind === "ExternalService" ||
      (policy.kind === "Service" && (policy.tls !== undefined || policy.fallback === "dns")),
    "policy:jwt": (policy) => policy.kind === "Authentication" && policy.jwt !== undefined,
    "policy:locality": (policy) => policy.kind === "Service" && policy.locality !== undefined,
    "policy:health-check": (policy) =>
      (policy.kind === "Service" || policy.kind === "ExternalService") && isOn(policy.healthCheck),
    "policy:service-overrides": (policy) =>
      policy.kind === "Service" && (policy.ports ?? policy.subsetPolicies ?? policy.portPolicies) !== undefined,
    "policy:endpoint-session": (policy) =>
      policy.kind === "Route" && policy.rules.some(({ sessionAffinity }) => sessionAffinity?.endpoint !== undefined),
    "policy:http2": (policy) =>
      policy.kind === "Service" &&
      ((policy.protocol ?? "http") !== "http" ||
        policy.connectionPool?.maxConcurrentStreams !== undefined ||
        (typeof policy.healthCheck === "object" && policy.healthCheck.grpc !== undefined)),
    "policy:access-full": needsFullAccess,
    "policy:workloads": (policy) =>
      policy.kind === "Mesh"
        ? (policy.rootNamespace ?? policy.trustDomainAliases) !== undefined
        : (policy.kind === "Access" || policy.kind === "Authentication") &&
          (policy.selector?.labels !== undefined ||
            (policy.kind === "Authentication" && policy.mtls?.ports !== undefined)),
  };
  return new Map(
    policyFeatures.flatMap((feature) => {
      const keys = puts.filter(needs[feature]).map(policyKey);
      return keys.length === 0 ? [] : [[feature, keys] as const];
    }),
  );
};

const isOn = (field: object | false | undefined): boolean => field !== undefined && field !== false;

const nameOf = ({ id, service, software }: MemberStatus): string => `${id} of ${service} (${software})`;

const shortened = (names: readonly string[]): string => {
  const more = names.length > MAX_NAMED ? `, and ${names.length - MAX_NAMED} more` : "";
  return `${names.slice(0, MAX_NAMED).join(", ")}${more}`;
};
