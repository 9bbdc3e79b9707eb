import { checkPolicy, compileFault, describeProblem, type OutboundSnapshot, type Policy } from "@tulle/policy";
import { unknownBalancers } from "./balancing/check-balancers.ts";
import type { CustomBalancers } from "./balancing/custom-balancer.ts";
import { compileActions } from "./compile-actions.ts";
import { preparedRoutes } from "./routing/prepared-routes.ts";
import { regexEngine } from "./routing/regex-engine.ts";

/** Parts of snapshots that were found good; unchanged parts keep their identity from one snapshot to the next. */
const good = new WeakSet<object>();

/**
 * Why this client cannot run a snapshot, or `undefined` when it can: a policy that a newer config-server allows and this
 * client does not know how to follow, or a pattern whose engine is not installed. A member that says so refuses the whole
 * revision and keeps its last good one, instead of following half of it.
 *
 * @param balancers those of the application's own, which policies may name.
 */
export const checkOutbound = (
  { mesh, services }: OutboundSnapshot,
  balancers?: CustomBalancers,
): string | undefined => {
  const [unknownBalancer] = unknownBalancers({ services }, balancers);
  if (unknownBalancer !== undefined) return describeProblem(unknownBalancer);
  const unknown = problemOf(mesh);
  if (unknown !== undefined) return unknown;
  for (const { key, policy, external, routes } of services.values()) {
    if (good.has(policy) && good.has(routes) && (external === undefined || good.has(external))) continue;
    const problem = [external ?? policy, ...routes].map(problemOf).find((found) => found !== undefined);
    if (problem !== undefined) return problem;
    try {
      preparedRoutes(routes);
      for (const rule of routes.flatMap(({ rules }) => rules)) {
        if (rule.fault !== undefined) compileFault(rule.fault, regexEngine);
        compileActions(rule);
      }
    } catch (error) {
      return `the routes of ${key} cannot be compiled: ${error instanceof Error ? error.message : String(error)}`;
    }
    good.add(policy).add(routes);
    if (external !== undefined) good.add(external);
  }
  return undefined;
};

const problemOf = (policy: Policy): string | undefined => {
  const [problem] = checkPolicy(policy);
  return problem === undefined ? undefined : describeProblem(problem);
};
