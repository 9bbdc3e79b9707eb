import { checkPolicy, describeProblem, type InboundSnapshot } from "@tulle/policy";
import { compileSelected } from "./inbound-policy.ts";

/**
 * Why this server cannot enforce a snapshot, or `undefined` when it can. A member that says so refuses the whole revision
 * and keeps its last good one, instead of enforcing half of it.
 */
export const checkInbound = (snapshot: InboundSnapshot | undefined): string | undefined => {
  if (snapshot === undefined) return undefined;
  const policies = [snapshot.mesh, snapshot.service, ...snapshot.access, ...snapshot.authentication];
  for (const policy of policies) {
    const [problem] = checkPolicy(policy);
    if (problem !== undefined) return describeProblem(problem);
  }
  try {
    // Whatever an instance is labelled: what another one could not compile is refused by all, and stays the same everywhere.
    compileSelected(snapshot);
    return undefined;
  } catch (error) {
    return `the inbound policy cannot be compiled: ${error instanceof Error ? error.message : String(error)}`;
  }
};
