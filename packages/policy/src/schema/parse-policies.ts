import { checkPolicy } from "../check-policy.ts";
import { notSupportedIn } from "../not-supported.ts";
import type { Policy, PolicyKind } from "../policy.ts";
import { DEFAULT_NAMESPACE, type PolicyOrigin } from "../policy-meta.ts";
import { formatPath } from "../policy-path.ts";
import type { PolicyProblem } from "../policy-problem.ts";
import { explainIssues, suggest } from "./explain-issues.ts";
import { policySchemas } from "./kinds.ts";

/** What was read: the policies that are right by themselves, and all that is wrong with the others. */
export interface ParsedPolicies {
  readonly policies: readonly Policy[];
  readonly problems: readonly PolicyProblem[];
}

/**
 * Reads values of unknown shape as policies, each by itself, and tells all problems at once: unknown fields, wrong types,
 * values out of range, what is not supported yet. How the policies fit together is asked of `checkPolicies`.
 *
 * @param where the origin of each value, for the problems and for the policies themselves.
 */
export const parsePolicies = (
  values: readonly unknown[],
  where?: (index: number) => PolicyOrigin | undefined,
): ParsedPolicies => {
  const policies: Policy[] = [];
  const problems: PolicyProblem[] = [];
  for (const [index, value] of values.entries()) {
    const read = parsePolicy(value, where?.(index));
    if (read.policy !== undefined) policies.push(read.policy);
    for (const problem of read.problems) problems.push({ ...problem, index });
  }
  return { policies, problems };
};

interface ParsedPolicy {
  readonly policy?: Policy;
  readonly problems: readonly PolicyProblem[];
}

const parsePolicy = (value: unknown, given: PolicyOrigin | undefined): ParsedPolicy => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return { problems: [{ path: "", message: "a policy is an object", ...at(given) }] };
  }
  // An object of unknown shape is read by name; what is not there is undefined.
  const written = value as Readonly<Record<string, unknown>>;
  const origin = given ?? originOf(written.origin);
  const { kind } = written;
  if (!isKind(kind)) return { problems: [{ ...wrongKind(written), ...at(origin) }] };
  const parsed = policySchemas[kind].safeParse(value);
  if (parsed.success) {
    const policy: Policy = { ...parsed.data, ...at(origin) };
    const problems = checkPolicy(policy);
    return problems.length === 0 ? { policy, problems } : { problems };
  }
  const found = [...explainIssues(kind, value, parsed.error.issues), ...notSupportedIn(kind, value)];
  const problems = found.map(({ path, ...rest }) => ({
    ...keyOf(kind, written),
    path: formatPath(path),
    ...rest,
    ...at(origin),
  }));
  return { problems };
};

const at = (origin: PolicyOrigin | undefined): { readonly origin?: PolicyOrigin } =>
  origin === undefined ? {} : { origin };

const originOf = (value: unknown): PolicyOrigin | undefined => {
  if (typeof value !== "object" || value === null) return undefined;
  // As above: looked at before it is believed.
  const { file, line } = value as { readonly file?: unknown; readonly line?: unknown };
  return typeof file === "string" && typeof line === "number" ? { file, line } : undefined;
};

const kinds = Object.keys(policySchemas);

const isKind = (value: unknown): value is PolicyKind =>
  typeof value === "string" && Object.hasOwn(policySchemas, value);

const wrongKind = (
  value: Readonly<Record<string, unknown>>,
): Pick<PolicyProblem, "path" | "message" | "suggestion"> => {
  const { kind, apiVersion } = value;
  const known = kinds.join(", ");
  if (apiVersion !== undefined) {
    return { path: "apiVersion", message: `this is a document of Kubernetes, not one of the kinds ${known}` };
  }
  if (kind === undefined) return { path: "kind", message: `is missing; write one of ${known}` };
  return {
    path: "kind",
    message: `unknown kind ${JSON.stringify(kind)}; write one of ${known}`,
    ...(typeof kind === "string" ? suggest(kind, kinds) : {}),
  };
};

const keyOf = (kind: PolicyKind, value: Readonly<Record<string, unknown>>): { readonly policy?: string } => {
  const { name, namespace } = value;
  if (typeof name !== "string") return {};
  return { policy: `${kind}/${typeof namespace === "string" ? namespace : DEFAULT_NAMESPACE}/${name}` };
};
