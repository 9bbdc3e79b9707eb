import { beginningOfTemplate, isAccessTemplate, wrongAccessTemplate } from "./access-path.ts";
import type { AccessRule } from "./access-policy.ts";
import type { AccessQuestion } from "./access-question.ts";
import { allPrincipalsMeant, type SourceReading } from "./access-source.ts";
import { isExactValue } from "./access-value.ts";
import { Candidates, PathIndex, type PathPlace } from "./path-index.ts";
import { type PathNormalization, pathInRules } from "./path-normalization.ts";

/** A rule that stands in an index. */
export interface IndexedRule {
  /** The place among all rules; the first that fits decides. */
  readonly order: number;
}

/** What a rule is found by. */
interface Keys {
  /** Every call that the rule fits has one of these; `undefined`: it may have any. */
  readonly principals: readonly string[] | undefined;
  readonly namespaces: readonly string[] | undefined;
  readonly paths: readonly PathPlace[] | undefined;
}

/**
 * Rules by who calls and what is called, so that a decision looks only at rules that may fit. Each rule stands under that key
 * which it shares with the fewest others; those without any are always looked at. Finding them makes nothing.
 */
export class AccessIndex<Rule extends IndexedRule> {
  readonly #byPrincipal = new Map<string, Rule[]>();
  readonly #byNamespace = new Map<string, Rule[]>();
  /** All that stand under a namespace, for callers whose identity is none of a workload. */
  readonly #namespaced: Rule[] = [];
  readonly #byPath = new PathIndex<Rule>();
  readonly #always: Rule[] = [];
  readonly #candidates = new Candidates<Rule>();

  /** @param rules in their order. */
  constructor(rules: readonly { readonly rule: Rule; readonly written: AccessRule; readonly reading: IndexReading }[]) {
    const keyed = rules.map(({ rule, written, reading }) => ({ rule, keys: keysOf(written, reading) }));
    const principals = countOf(keyed.map(({ keys }) => keys.principals ?? []));
    const namespaces = countOf(keyed.map(({ keys }) => keys.namespaces ?? []));
    const paths = countOf(keyed.map(({ keys }) => (keys.paths ?? []).map(nameOf)));
    for (const { rule, keys } of keyed) {
      const shared = [
        { add: this.#addPaths, keys: keys.paths, most: mostOf(keys.paths?.map(nameOf), paths) },
        { add: this.#addPrincipals, keys: keys.principals, most: mostOf(keys.principals, principals) },
        { add: this.#addNamespaces, keys: keys.namespaces, most: mostOf(keys.namespaces, namespaces) },
      ].toSorted((a, b) => a.most - b.most)[0];
      if (shared === undefined || shared.most === Number.POSITIVE_INFINITY) this.#always.push(rule);
      else shared.add.call(this, rule, keys);
    }
  }

  /** The first rule in order that may fit a call and of which `fits` says so. */
  find(question: AccessQuestion, fits: (rule: Rule, question: AccessQuestion) => boolean): Rule | undefined {
    const candidates = this.#gather(question);
    for (let rule = candidates.next(); rule !== undefined; rule = candidates.next()) {
      if (fits(rule, question)) return rule;
    }
    return undefined;
  }

  #gather({ principal, namespace, path }: AccessQuestion): Candidates<Rule> {
    const candidates = this.#candidates;
    candidates.clear();
    candidates.add(this.#always);
    if (principal !== undefined) candidates.add(this.#byPrincipal.get(principal) ?? none);
    if (namespace !== undefined) candidates.add(this.#byNamespace.get(namespace) ?? none);
    else if (principal !== undefined) candidates.add(this.#namespaced);
    this.#byPath.gather(path, candidates);
    return candidates;
  }

  #addPaths(rule: Rule, { paths }: Keys): void {
    for (const place of paths ?? []) this.#byPath.add(place, rule);
  }

  #addPrincipals(rule: Rule, { principals }: Keys): void {
    for (const principal of new Set(principals)) listIn(this.#byPrincipal, principal).push(rule);
  }

  #addNamespaces(rule: Rule, { namespaces }: Keys): void {
    this.#namespaced.push(rule);
    for (const namespace of new Set(namespaces)) listIn(this.#byNamespace, namespace).push(rule);
  }
}

const none: readonly never[] = [];

/** What keys mean besides their texts. */
export interface IndexReading extends SourceReading {
  readonly normalization: PathNormalization;
}

const keysOf = (rule: AccessRule, reading: IndexReading): Keys => {
  const principals = allHave(rule.from, (source) => source.principals);
  const namespaces = allHave(rule.from, (source) => source.namespaces);
  const paths = allHave(rule.to, (operation) => operation.paths)?.map((path) => placeOf(path, reading.normalization));
  return {
    principals: principals?.every(isExactValue) ? allPrincipalsMeant(principals, reading) : undefined,
    namespaces: namespaces?.every(isExactValue) ? namespaces : undefined,
    paths: paths?.every((place) => place !== undefined) ? paths : undefined,
  };
};

/** The values of a field, if all alternatives have it. */
const allHave = <T>(
  alternatives: readonly T[] | undefined,
  valuesOf: (alternative: T) => readonly string[] | undefined,
): readonly string[] | undefined => {
  if (alternatives === undefined || alternatives.length === 0) return undefined;
  const all: string[] = [];
  for (const alternative of alternatives) {
    const values = valuesOf(alternative);
    if (values === undefined) return undefined;
    all.push(...values);
  }
  return all;
};

const placeOf = (written: string, normalization: PathNormalization): PathPlace | undefined => {
  const path = pathInRules(written, normalization);
  if (path.startsWith("*")) return undefined;
  if (isAccessTemplate(path)) {
    return wrongAccessTemplate(path) === undefined ? place(beginningOfTemplate(path), "anything") : undefined;
  }
  return path.endsWith("*") ? place(path.slice(0, -1), "anything") : place(path, "end");
};

const place = (text: string, follow: PathPlace["follow"]): PathPlace => ({
  way: text === "" ? [] : [{ kind: "text", text }],
  follow,
  ignoreCase: false,
  partial: true,
});

const nameOf = ({ way, follow }: PathPlace): string => `${follow} ${way[0]?.kind === "text" ? way[0].text : ""}`;

const countOf = (lists: readonly (readonly string[])[]): ReadonlyMap<string, number> => {
  const counts = new Map<string, number>();
  for (const list of lists) for (const key of new Set(list)) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
};

const mostOf = (keys: readonly string[] | undefined, counts: ReadonlyMap<string, number>): number =>
  keys === undefined ? Number.POSITIVE_INFINITY : keys.reduce((most, key) => Math.max(most, counts.get(key) ?? 0), 0);

const listIn = <Rule>(map: Map<string, Rule[]>, key: string): Rule[] => {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made: Rule[] = [];
  map.set(key, made);
  return made;
};
