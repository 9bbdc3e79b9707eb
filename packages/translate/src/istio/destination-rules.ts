import { fullNameOf, resolveHost, wildcardCovers } from "../catalog.ts";
import type { Findings } from "../finding.ts";
import { documentKey, type SourceDocument } from "../source-document.ts";
import { isOfKind } from "../source-kind.ts";
import { byAge } from "../translation-context.ts";
import { type DestinationRule, destinationRuleKind, type ReadSubset, readDestinationRule } from "./destination-rule.ts";
import type { TrafficPolicy } from "./traffic-policy.ts";

/** What the DestinationRules for one service say together. */
export interface MergedRule {
  readonly policy: TrafficPolicy | undefined;
  readonly subsets: ReadonlyMap<string, ReadSubset>;
  /** The documents that it was made of, the one of the policy first. */
  readonly from: readonly SourceDocument[];
}

/** All DestinationRules, asked by service. */
export interface DestinationRules {
  /** The hosts that are named without a wildcard, as full names. */
  readonly named: readonly string[];
  /**
   * What holds for a service.
   *
   * @param fullName `reviews.default.svc.cluster.local`, or a host from outside
   * @param namespace the service's
   */
  for(fullName: string, namespace: string): MergedRule | undefined;
  /** Tells of rules for hosts from outside that nobody tells of: they say nothing. */
  tellUnknown(externals: ReadonlySet<string>): void;
}

/**
 * Reads all DestinationRules. Istio looks in the caller's namespace, in the service's and in the root namespace, and takes of
 * the first that has any the most specific host. What calls meet does not depend on the caller here, so that of rules in other
 * namespaces only the subsets are taken, which change nothing by themselves.
 */
export const readDestinationRules = (
  documents: readonly SourceDocument[],
  rootNamespace: string,
  findings: Findings,
): DestinationRules => {
  const all = documents
    .filter((document) => isOfKind(document, destinationRuleKind))
    .sort(byAge)
    .map((document) => readDestinationRule(document, findings));
  // A document of which anything was refused says nothing.
  const rules = all.filter(({ document, visibility }) => !findings.refuses(document) && visibility?.length !== 0);
  const hosts = new Map<DestinationRule, string>(rules.map((rule) => [rule, fullHostOf(rule)]));
  const named = [...new Set(hosts.values())].filter((host) => !host.startsWith("*"));
  const told = new Set<DestinationRule>();
  const tellForeign = (rule: DestinationRule): void => {
    if (told.has(rule) || rule.selects) return;
    told.add(rule);
    if (!hasPolicy(rule)) return;
    rule.fields.tellNoMeaning(
      rule.policy === undefined ? "subsets" : "trafficPolicy",
      `in Istio it holds for callers in ${rule.document.namespace} alone, and what calls meet does not depend on the caller here: write it in the service's namespace`,
    );
  };
  const answers = new Map<string, MergedRule | undefined>();
  const find = (fullName: string, namespace: string): MergedRule | undefined => {
    const fitting = rules.filter((rule) => covers(hosts.get(rule) ?? "", fullName));
    const inNamespace = (home: string): readonly DestinationRule[] =>
      mostSpecific(
        fitting.filter(({ document, selects }) => document.namespace === home && !selects),
        hosts,
      );
    const own = inNamespace(namespace);
    const chosen = own.length > 0 ? own : inNamespace(rootNamespace);
    const others = fitting.filter(
      (rule) =>
        !chosen.includes(rule) &&
        hosts.get(rule) === fullName &&
        (rule.selects || rule.document.namespace !== rootNamespace),
    );
    for (const rule of others) tellForeign(rule);
    return merge(chosen, others);
  };
  return {
    named,
    tellUnknown: (externals) => {
      for (const [rule, host] of hosts) {
        if (host.startsWith("*") || externals.has(host) || resolveHost(host, "default").kind === "service") continue;
        rule.fields.warn("host", `no ServiceEntry tells of "${host}": nothing is said of it`);
      }
    },
    for: (fullName, namespace) => {
      const asked = `${namespace}/${fullName}`;
      // What is told of a service is told once.
      if (!answers.has(asked)) answers.set(asked, find(fullName, namespace));
      return answers.get(asked);
    },
  };
};

const hasPolicy = ({ policy, subsets }: DestinationRule): boolean =>
  policy !== undefined || [...subsets.values()].some((subset) => subset.policy !== undefined);

const fullHostOf = ({ host, document }: DestinationRule): string => {
  const resolved = resolveHost(host, document.namespace);
  return resolved.kind === "service" ? fullNameOf(resolved.key) : resolved.host;
};

const covers = (host: string, name: string): boolean =>
  host.startsWith("*") ? wildcardCovers(host, name) : host === name;

/** Those of the most specific host: a name before a wildcard, a longer wildcard before a shorter one. */
const mostSpecific = (
  rules: readonly DestinationRule[],
  hosts: ReadonlyMap<DestinationRule, string>,
): readonly DestinationRule[] => {
  const rank = (rule: DestinationRule): number => {
    const host = hosts.get(rule) ?? "";
    return host.startsWith("*") ? host.length : Number.POSITIVE_INFINITY;
  };
  const best = Math.max(...rules.map(rank));
  return rules.filter((rule) => rank(rule) === best);
};

/** The oldest traffic policy holds; of subsets with one name the oldest does (Istio). */
const merge = (rules: readonly DestinationRule[], others: readonly DestinationRule[]): MergedRule | undefined => {
  if (rules.length === 0 && others.length === 0) return undefined;
  const first = rules.find(({ policy }) => policy !== undefined);
  const subsets = new Map<string, ReadSubset>();
  for (const rule of rules) {
    if (rule.policy !== undefined && rule !== first && first !== undefined) {
      rule.fields.warn("trafficPolicy", `${documentKey(first.document)} is older and has the traffic policy`);
    }
    for (const [name, subset] of rule.subsets) {
      if (!subsets.has(name)) subsets.set(name, subset);
      else rule.fields.warn("subsets", `an older document has the subset "${name}" of ${rule.host}`);
    }
  }
  for (const rule of others) {
    for (const [name, { labels }] of rule.subsets) {
      if (!subsets.has(name)) subsets.set(name, { labels, policy: undefined });
    }
  }
  const from = [...(first === undefined ? [] : [first]), ...rules, ...others].map(({ document }) => document);
  return { policy: first?.policy, subsets, from: [...new Set(from)] };
};
