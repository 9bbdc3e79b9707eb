import type {
  AccessAction,
  AccessCondition,
  AccessOperation,
  AccessPolicy,
  AccessRule,
  AccessSource,
} from "../access-policy.ts";
import { namespaceOf, type PolicyMeta } from "../policy-meta.ts";
import { CLUSTER_DOMAIN } from "../service-name.ts";
import { type ServicePolicy, serviceAccountsOf } from "../service-policy.ts";
import { type Selected, selectionOf } from "./selection.ts";

/** Who calls: a service, by the identities of its service accounts, or whatever a source can say. */
export type Caller = ServicePolicy | AccessSource;

/** One rule, where a single caller or operation needs no list. */
export interface WrittenAccessRule {
  readonly name?: string;
  readonly from?: Caller | readonly Caller[];
  readonly to?: AccessOperation | readonly AccessOperation[];
  readonly when?: AccessCondition | readonly AccessCondition[];
}

/** What an access policy says besides its rules. The name is the service's with the action unless said. */
export type AccessOptions = Partial<Omit<PolicyMeta, "origin">>;

/** Ends an `Access` policy. */
export interface AccessEnd {
  /** Allows what a rule fits, and thereby denies the rest. Without any rule: allows nothing. */
  allow(...rules: readonly WrittenAccessRule[]): AccessPolicy;
  /** Denies what a rule fits, whoever else allows it. */
  deny(...rules: readonly [WrittenAccessRule, ...WrittenAccessRule[]]): AccessPolicy;
  /** Counts what a rule fits, and decides nothing. */
  audit(...rules: readonly [WrittenAccessRule, ...WrittenAccessRule[]]): AccessPolicy;
  /** Asks an authorizer of the `Mesh` policy, by its name, about what a rule fits. */
  custom(authorizer: string, ...rules: readonly [WrittenAccessRule, ...WrittenAccessRule[]]): AccessPolicy;
}

/**
 * Who may call a service, or with `"all"` every service of a namespace:
 * `access(reviews).allow({ from: productpage, to: { methods: ["GET"] } })`.
 */
export const access = (selected: Selected, options: AccessOptions = {}): AccessEnd => {
  const policyOf = (action: AccessAction, rules: readonly WrittenAccessRule[]): AccessPolicy => {
    const { name, ...selection } = selectionOf(selected);
    return { kind: "Access", name: `${name}-${action}`, ...selection, ...options, action, rules: rules.map(ruleOf) };
  };
  return {
    allow: (...rules) => policyOf("allow", rules),
    deny: (...rules) => policyOf("deny", rules),
    audit: (...rules) => policyOf("audit", rules),
    custom: (authorizer, ...rules) => ({ ...policyOf("custom", rules), authorizer }),
  };
};

const ruleOf = ({ name, from, to, when }: WrittenAccessRule): AccessRule => ({
  ...(name === undefined ? {} : { name }),
  ...(from === undefined ? {} : { from: listOf(from).map(sourceOf) }),
  ...(to === undefined ? {} : { to: listOf(to) }),
  ...(when === undefined ? {} : { when: listOf(when) }),
});

const sourceOf = (caller: Caller): AccessSource =>
  "kind" in caller
    ? {
        principals: serviceAccountsOf(caller).map(
          // Means the mesh's own trust domain, whatever it is called.
          (account) => `${CLUSTER_DOMAIN}/ns/${namespaceOf(caller)}/sa/${account}`,
        ),
      }
    : caller;

const listOf = <T extends object>(value: T | readonly T[]): readonly T[] =>
  // `Array.isArray` does not know read-only lists.
  Array.isArray(value) ? (value as readonly T[]) : [value as T];
