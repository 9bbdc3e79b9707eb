import { checkAccess } from "./access-check.ts";
import { checkActions } from "./actions-check.ts";
import { checkAdaptiveThrottling } from "./adaptive-throttling-policy.ts";
import type { AuthenticationPolicy } from "./authentication-policy.ts";
import { checkAuthorizers } from "./authorizer-policy.ts";
import { checkBalancer } from "./balancer-policy.ts";
import { checkCircuitBreaker } from "./circuit-breaker-policy.ts";
import { checkConnectionPool } from "./connection-pool-policy.ts";
import { checkExternalService, type Resilience } from "./external-service-policy.ts";
import { checkFault } from "./fault-policy.ts";
import {
  durationLimits,
  numberLimits,
  wrongHeaderName,
  wrongHost,
  wrongName,
  wrongReference,
  wrongServiceAccount,
  wrongSubsetName,
} from "./field-limits.ts";
import { checkHashKeys, checkServiceHashKeys } from "./hash-key.ts";
import { checkHealthCheck } from "./health-check-policy.ts";
import { checkHedge } from "./hedge-policy.ts";
import { checkJwt } from "./jwt-policy.ts";
import { checkLocality } from "./locality-policy.ts";
import type { MeshPolicy } from "./mesh-policy.ts";
import { checkMirror } from "./mirror-policy.ts";
import { checkMtlsPorts } from "./mtls-mode.ts";
import { notSupportedIn } from "./not-supported.ts";
import { checkOutlierDetection } from "./outlier-detection-policy.ts";
import { checkOutsideTls } from "./outside-tls.ts";
import { pathNormalizations } from "./path-normalization.ts";
import type { Policy } from "./policy.ts";
import { Check } from "./policy-check.ts";
import { DEFAULT_NAMESPACE } from "./policy-meta.ts";
import type { PolicyPath } from "./policy-path.ts";
import type { PolicyProblem } from "./policy-problem.ts";
import { type RetryBudget, type RetryPolicy, wrongConditions, wrongStatuses } from "./retry-policy.ts";
import { checkRouteMatch, checkStringMatch } from "./route-match.ts";
import type { RoutePolicy, RouteRule } from "./route-policy.ts";
import { checkSelector } from "./selector.ts";
import type { ServiceOverrides, SubsetPolicy } from "./service-overrides.ts";
import { MAX_SERVICE_PORTS, type ServicePolicy } from "./service-policy.ts";
import { checkSessionAffinity } from "./session-affinity-policy.ts";
import { isTrustDomain } from "./spiffe-id.ts";
import { checkSubsetting } from "./subsetting-policy.ts";
import { DEFAULT_WEIGHT } from "./traffic-split.ts";
import { checkTrustDomainAliases } from "./trust-domain-aliases.ts";

/** Whether one policy makes sense by itself: its values, and nothing in it that is not supported yet. All problems. */
export const checkPolicy = (policy: Policy): readonly PolicyProblem[] => {
  const check = new Check(policy);
  check.text(["name"], policy.name, wrongName);
  check.text(["namespace"], policy.namespace, wrongName);
  checkKind(policy, check);
  for (const { path, message } of notSupportedIn(policy.kind, policy)) check.report(path, message);
  return check.problems;
};

const checkKind = (policy: Policy, check: Check): void => {
  if (policy.kind === "Mesh") checkMesh(policy, check);
  else if (policy.kind === "Service") checkService(policy, check);
  else if (policy.kind === "ExternalService") {
    checkExternalService(policy, check);
    checkResilience(policy, check);
  } else if (policy.kind === "Route") checkRoute(policy, check);
  else if (policy.kind === "Access") checkAccess(policy, check);
  else checkAuthentication(policy, check);
};

const checkMesh = (mesh: MeshPolicy, check: Check): void => {
  if (mesh.name !== "mesh") check.report(["name"], `the Mesh policy is named "mesh", not "${mesh.name}"`, '"mesh"');
  if (mesh.namespace !== undefined && mesh.namespace !== DEFAULT_NAMESPACE) {
    check.report(["namespace"], "the Mesh policy holds for all namespaces: leave the field out");
  }
  check.text(["trustDomain"], mesh.trustDomain, (text) =>
    isTrustDomain(text)
      ? undefined
      : `"${text}" is not a trust domain: write a-z, 0-9, ".", "-" and "_", at most 255 characters`,
  );
  checkTrustDomainAliases(mesh, check);
  check.text(["rootNamespace"], mesh.rootNamespace, wrongName);
  check.number(["trustedProxies"], mesh.trustedProxies, numberLimits.trustedProxies);
  checkAuthorizers(["authorizers"], mesh.authorizers, check);
  if (mesh.pathNormalization !== undefined && !pathNormalizations.includes(mesh.pathNormalization)) {
    check.report(["pathNormalization"], `"${mesh.pathNormalization}" is none of ${pathNormalizations.join(", ")}`);
  }
  const { defaults } = mesh;
  for (const field of ["timeout", "attemptTimeout", "maxDuration", "idleTimeout", "connectTimeout"] as const) {
    check.duration(["defaults", field], defaults?.[field], durationLimits[field]);
  }
  checkRetry(["defaults", "retry"], defaults?.retry, check);
  checkRetryBudget(["defaults", "retryBudget"], defaults?.retryBudget, check);
};

const checkService = (service: ServicePolicy, check: Check): void => {
  check.texts(["hosts"], service.hosts, wrongHost);
  check.number(["port"], service.port, numberLimits.port);
  check.list(["ports"], service.ports, (path, port) => check.number(path, port, numberLimits.port));
  if ((service.ports?.length ?? 0) > MAX_SERVICE_PORTS) check.report(["ports"], `at most ${MAX_SERVICE_PORTS} ports`);
  check.texts(["serviceAccounts"], service.serviceAccounts, wrongServiceAccount);
  for (const name of Object.keys(service.subsets ?? {})) check.text(["subsets", name], name, wrongSubsetName);
  checkOutsideTls(["tls"], service.tls, check);
  checkLocality(service.locality, check);
  checkHealthCheck(service.healthCheck, check);
  check.duration(["staleAfter"], service.staleAfter, durationLimits.staleAfter);
  checkResilience(service, check);
  checkOverrides(service, check);
};

const checkOverrides = (service: ServicePolicy, check: Check): void => {
  if (service.selector !== undefined && Object.keys(service.selector).length === 0) {
    check.report(["selector"], "an empty selector would mean every instance of the namespace: name a label");
  }
  checkPorts(service.portPolicies, check);
  for (const [name, overrides] of Object.entries(service.subsetPolicies ?? {})) {
    const below = check.under(["subsetPolicies", name]);
    if (service.subsets?.[name] === undefined) below.report([], `"subsets" names no subset "${name}"`);
    checkOverridden(overrides, below);
    checkPorts(overrides.portPolicies, below);
  }
};

const checkPorts = (policies: SubsetPolicy["portPolicies"], check: Check): void => {
  for (const [port, overrides] of Object.entries(policies ?? {})) {
    const below = check.under(["portPolicies", port]);
    if (!/^\d+$/.test(port)) below.report([], `"${port}" is no port`);
    else below.number([], Number(port), numberLimits.port);
    checkOverridden(overrides, below);
  }
};

const checkOverridden = (overrides: ServiceOverrides, check: Check): void => {
  checkLocality(overrides.locality, check);
  checkResilience(overrides, check);
};

/** What services inside and outside the mesh have in common. */
const checkResilience = (service: Resilience, check: Check): void => {
  checkBalancer(service, check);
  checkSubsetting(service.subsetting, service.balancer, check);
  checkServiceHashKeys(["hashKey"], service.hashKey, check);
  check.number(["panicThreshold"], service.panicThreshold, numberLimits.percent);
  checkOutlierDetection(service.outlierDetection, check);
  checkConnectionPool(service.connectionPool, check);
  checkCircuitBreaker(service.circuitBreaker, check);
  checkAdaptiveThrottling(service.adaptiveThrottling, check);
  checkRetryBudget(["retryBudget"], service.retryBudget, check);
};

const checkRetry = (path: PolicyPath, retry: RetryPolicy | false | undefined, check: Check): void => {
  if (retry === undefined || retry === false) return;
  check.number([...path, "retries"], retry.retries, numberLimits.retries);
  for (const [at, status] of (retry.statuses ?? []).entries()) {
    const message = wrongStatuses(status);
    if (message !== undefined) check.report([...path, "statuses", at], message);
  }
  const wrongOn = wrongConditions(retry);
  if (wrongOn !== undefined) check.report([...path, "on"], wrongOn);
  for (const field of ["retriableHeaders", "retriableRequestHeaders"] as const) {
    for (const [name, comparison] of Object.entries(retry[field] ?? {})) {
      check.text([...path, field, name], name, wrongHeaderName);
      checkStringMatch([...path, field, name], comparison, check);
    }
  }
  check.duration([...path, "backoff", "base"], retry.backoff?.base, durationLimits.backoff);
  check.duration([...path, "backoff", "max"], retry.backoff?.max, durationLimits.backoff);
};

const checkRetryBudget = (path: PolicyPath, budget: RetryBudget | undefined, check: Check): void => {
  check.number([...path, "ratio"], budget?.ratio, numberLimits.budgetRatio);
  check.number([...path, "minPerSecond"], budget?.minPerSecond, numberLimits.minPerSecond);
  check.duration([...path, "ttl"], budget?.ttl, durationLimits.budgetTtl);
};

const checkRoute = (route: RoutePolicy, check: Check): void => {
  check.texts(["services"], route.services, wrongReference);
  check.list(["rules"], route.rules, (path, rule) => checkRule(path, rule, check));
};

const checkRule = (path: PolicyPath, rule: RouteRule, check: Check): void => {
  check.list([...path, "match"], rule.match, (at, match) => checkRouteMatch(at, match, check));
  check.list([...path, "split"], rule.split, (at, destination) => {
    check.text([...at, "service"], destination.service, wrongReference);
    check.number([...at, "weight"], destination.weight, numberLimits.weight);
  });
  const weights = (rule.split ?? []).map((destination) => destination.weight ?? DEFAULT_WEIGHT);
  if (weights.length > 0 && weights.every((weight) => weight === 0)) {
    check.report([...path, "split"], "all weights are 0, so no call could go anywhere");
  }
  for (const field of ["timeout", "attemptTimeout", "maxDuration", "idleTimeout"] as const) {
    check.duration([...path, field], rule[field], durationLimits[field]);
  }
  checkRetry([...path, "retry"], rule.retry, check);
  checkHedge([...path, "hedge"], rule.hedge, check);
  checkHashKeys([...path, "sticky"], rule.sticky, check);
  checkSessionAffinity([...path, "sessionAffinity"], rule.sessionAffinity, check);
  checkMirror([...path, "mirror"], rule.mirror, check);
  checkFault([...path, "fault"], rule.fault, check);
  for (const [name, comparison] of Object.entries(rule.fault?.headers ?? {})) {
    checkStringMatch([...path, "fault", "headers", name], comparison, check);
  }
  checkActions(path, rule, check, checkStringMatch);
};

const checkAuthentication = (authentication: AuthenticationPolicy, check: Check): void => {
  checkSelector(authentication.selector, check);
  checkMtlsPorts(authentication, check);
  if (authentication.mtls === undefined && authentication.jwt === undefined) {
    check.report([], "nothing is said about how callers prove who they are: set mtls.mode or jwt");
  }
  checkJwt(["jwt"], authentication.jwt, check);
};
