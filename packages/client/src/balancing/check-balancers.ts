import { type OutboundSnapshot, type PolicyProblem, policyKey } from "@tulle/policy";
import { balancerNamed, type CustomBalancers } from "./custom-balancer.ts";

/** The policies that name a balancer which this process was not given. */
export const unknownBalancers = (
  { services }: Pick<OutboundSnapshot, "services">,
  balancers: CustomBalancers | undefined,
): readonly PolicyProblem[] => {
  const problems: PolicyProblem[] = [];
  for (const { policy, external } of services.values()) {
    const { balancer } = policy;
    if (balancer?.algorithm !== "custom" || balancerNamed(balancers, balancer.name) !== undefined) continue;
    const written = external ?? policy;
    problems.push({
      policy: policyKey(written),
      path: "balancer.name",
      message: `this process was given no balancer "${balancer.name}": ${wayOut(balancers)}`,
      ...(written.origin === undefined ? {} : { origin: written.origin }),
    });
  }
  return problems;
};

const wayOut = (balancers: CustomBalancers | undefined): string => {
  const names = Object.keys(balancers ?? {});
  return names.length === 0 ? 'hand it over as the option "balancers"' : `it was given ${names.join(", ")}`;
};
