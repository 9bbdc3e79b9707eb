/** Which workloads a policy is for: all of its namespace where nothing is set. */
export interface WorkloadSelector {
  /** A service's name in the policy's namespace. */
  readonly service?: string;
  /** Labels that the workload must carry, all of them. Not supported yet. */
  readonly labels?: Readonly<Record<string, string>>;
}
