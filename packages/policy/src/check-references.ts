import { externalPortOf, passesUntouched, serviceOfExternal } from "./external-service-policy.ts";
import { wrongReference } from "./field-limits.ts";
import { type MeshPolicy, rootNamespaceOf } from "./mesh-policy.ts";
import { nearest } from "./name-index.ts";
import { type Policy, policyKey } from "./policy.ts";
import { namespaceOf } from "./policy-meta.ts";
import { formatPath, type PolicyPath } from "./policy-path.ts";
import type { PolicyProblem } from "./policy-problem.ts";
import { externalServicesOf, meshPolicyOf, servicesOf } from "./select.ts";
import { CLUSTER_DOMAIN, referencedService, type ServiceKey, serviceKey, splitServiceKey } from "./service-name.ts";
import type { ServicePolicy } from "./service-policy.ts";

/** Whether policies fit together: every name that one uses is defined, nothing is defined twice. All problems. */
export const checkReferences = (policies: readonly Policy[]): readonly PolicyProblem[] => {
  const problems: PolicyProblem[] = [];
  const inside = new Map([...servicesOf(policies)].map(([key, { policy }]) => [key, policy]));
  // Routes may lead outside; nobody inside can say who may call what is outside.
  const services = new Map([
    ...[...externalServicesOf(policies)].map(([key, { policy }]) => [key, serviceOfExternal(policy)] as const),
    ...inside,
  ]);
  const report: Report = (index, path, message, suggestion) => {
    const policy = policies[index];
    problems.push({
      ...(policy === undefined ? {} : { policy: policyKey(policy) }),
      path: formatPath(path),
      message,
      ...(suggestion === undefined ? {} : { suggestion }),
      ...(policy?.origin === undefined ? {} : { origin: policy.origin }),
      index,
    });
  };
  checkDuplicates(policies, report);
  const root = rootNamespaceOf(meshPolicyOf(policies));
  checkNames(policies, inside, report);
  checkHosts(policies, inside, report);
  for (const [index, policy] of policies.entries()) {
    const here = { services, inside, index, namespace: namespaceOf(policy), report };
    if (policy.kind === "Route") {
      for (const [at, reference] of policy.services.entries()) serviceAt(["services", at], reference, here);
      for (const [at, rule] of policy.rules.entries()) {
        for (const [place, destination] of (rule.split ?? []).entries()) {
          checkDestination(["rules", at, "split", place], destination, policy.services, here);
        }
        for (const [place, target] of (rule.mirror ?? []).entries()) {
          checkDestination(["rules", at, "mirror", place], target, policy.services, here);
        }
      }
    }
    if (policy.kind === "Access" || policy.kind === "Authentication") {
      const selected = policy.selector?.service;
      if (selected !== undefined) checkSelected(selected, here, root);
    }
    if (policy.kind === "Access" && policy.authorizer !== undefined) {
      checkAuthorizer(policy.authorizer, meshPolicyOf(policies), here);
    }
  }
  return problems;
};

type Report = (index: number, path: PolicyPath, message: string, suggestion?: string) => void;

/** Where in the policies a reference stands. */
interface Here {
  /** What routes may name. */
  readonly services: ReadonlyMap<ServiceKey, ServicePolicy>;
  /** What policies may select. */
  readonly inside: ReadonlyMap<ServiceKey, ServicePolicy>;
  readonly index: number;
  readonly namespace: string;
  readonly report: Report;
}

const checkDuplicates = (policies: readonly Policy[], report: Report): void => {
  const first = new Map<string, Policy>();
  for (const [index, policy] of policies.entries()) {
    // There is one Mesh policy, whatever it is called.
    const key = policy.kind === "Mesh" ? "Mesh" : policyKey(policy);
    const before = first.get(key);
    if (before === undefined) first.set(key, policy);
    else report(index, ["name"], `${describe(policy)} is defined twice${placeOf(before)}`);
  }
};

const describe = (policy: Policy): string =>
  policy.kind === "Mesh" ? "the Mesh policy" : `${policy.kind} "${policy.name}" in namespace "${namespaceOf(policy)}"`;

const placeOf = ({ origin }: Policy): string =>
  origin === undefined ? "" : `, first at ${origin.file}:${origin.line}`;

/** A route names services of both kinds, so a name means one of them. */
const checkNames = (
  policies: readonly Policy[],
  inside: ReadonlyMap<ServiceKey, ServicePolicy>,
  report: Report,
): void => {
  for (const [index, policy] of policies.entries()) {
    const key = serviceKey(namespaceOf(policy), policy.name);
    if (policy.kind === "ExternalService" && inside.has(key)) {
      report(index, ["name"], `${key} is already a service of the mesh: routes could not tell which one is meant`);
    }
  }
};

/** Who has a host: on one port, or on all. */
interface HostOwner {
  readonly key: ServiceKey;
  readonly port: number | undefined;
}

/**
 * A host means one service: it is neither claimed twice nor the name that another service always has. Services outside may share
 * one, each on a port of its own.
 */
const checkHosts = (
  policies: readonly Policy[],
  services: ReadonlyMap<ServiceKey, ServicePolicy>,
  report: Report,
): void => {
  const owners = new Map<string, HostOwner[]>();
  const claim = (host: string, owner: HostOwner): void => {
    const before = owners.get(host);
    if (before === undefined) owners.set(host, [owner]);
    else before.push(owner);
  };
  for (const key of services.keys()) {
    const { namespace, name } = splitServiceKey(key);
    for (const tail of ["", ".svc", `.svc.${CLUSTER_DOMAIN}`]) {
      claim(`${name}.${namespace}${tail}`, { key, port: undefined });
    }
  }
  const shortNames = new Set([...services.keys()].map((key) => splitServiceKey(key).name));
  for (const [index, policy] of policies.entries()) {
    if (policy.kind !== "Service" && policy.kind !== "ExternalService") continue;
    const key = serviceKey(namespaceOf(policy), policy.name);
    const port = policy.kind === "Service" || passesUntouched(policy) ? undefined : externalPortOf(policy);
    for (const [at, host] of (policy.hosts ?? []).entries()) {
      const name = host.toLowerCase();
      const owner = owners
        .get(name)
        ?.find((each) => each.key !== key && (each.port === undefined || port === undefined || each.port === port));
      if (owner !== undefined) report(index, ["hosts", at], `"${host}" already means service ${owner.key}`);
      else if ((name !== policy.name || policy.kind === "ExternalService") && shortNames.has(name)) {
        report(index, ["hosts", at], `"${host}" is the short name of another service`);
      } else claim(name, { key, port });
    }
  }
};

const checkDestination = (
  path: PolicyPath,
  destination: { readonly service?: string; readonly subset?: string },
  called: readonly string[],
  here: Here,
): void => {
  const { service, subset } = destination;
  if (service !== undefined) {
    const found = serviceAt([...path, "service"], service, here);
    if (subset !== undefined && found !== undefined) checkSubset(path, subset, found, here);
    return;
  }
  if (subset === undefined) return;
  for (const reference of called) {
    const found = here.services.get(referencedService(reference, here.namespace));
    if (found !== undefined) checkSubset(path, subset, found, here);
  }
};

const checkSubset = (path: PolicyPath, subset: string, service: ServicePolicy, { index, report }: Here): void => {
  const subsets = Object.keys(service.subsets ?? {});
  if (subsets.includes(subset)) return;
  const known = subsets.length === 0 ? "it has none" : `it has ${subsets.join(", ")}`;
  report(
    index,
    [...path, "subset"],
    `service ${serviceKey(namespaceOf(service), service.name)} has no subset "${subset}"; ${known}`,
    quoted(nearest(subset, subsets)),
  );
};

const serviceAt = (path: PolicyPath, reference: string, here: Here): ServicePolicy | undefined => {
  const key = referencedService(reference, here.namespace);
  const found = here.services.get(key);
  // A reference that is no name at all was reported as a value.
  if (found === undefined && wrongReference(reference) === undefined) {
    const names = [...here.services.keys()].map((known) => {
      const { namespace, name } = splitServiceKey(known);
      return namespace === here.namespace ? name : `${name}.${namespace}`;
    });
    here.report(here.index, path, `there is no service ${key}`, quoted(nearest(reference, names)));
  }
  return found;
};

const checkSelected = (name: string, here: Here, root: string): void => {
  const everywhere = here.namespace === root;
  const names = [...here.inside.keys()]
    .map((key) => splitServiceKey(key))
    .filter(({ namespace }) => everywhere || namespace === here.namespace)
    .map((each) => each.name);
  if (names.includes(name)) return;
  const message = everywhere
    ? `there is no service "${name}" in any namespace`
    : `there is no service ${serviceKey(here.namespace, name)}; a policy selects in its own namespace`;
  here.report(here.index, ["selector", "service"], message, quoted(nearest(name, names)));
};

const quoted = (names: readonly string[]): string | undefined =>
  names.length === 0 ? undefined : names.map((name) => `"${name}"`).join(" or ");

const checkAuthorizer = (name: string, { authorizers = {} }: MeshPolicy, { index, report }: Here): void => {
  if (Object.hasOwn(authorizers, name)) return;
  const [known] = nearest(name, Object.keys(authorizers));
  report(
    index,
    ["authorizer"],
    `the Mesh policy has no authorizer "${name}"`,
    known === undefined ? undefined : `"${known}"`,
  );
};
