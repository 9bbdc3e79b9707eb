import { parseConditionKey } from "./access-condition.ts";
import { beginningOfTemplate, isAccessTemplate, wrongAccessTemplate } from "./access-path.ts";
import type { AccessRule } from "./access-policy.ts";
import type { AccessQuestion } from "./access-question.ts";
import { allPrincipalsMeant, type SourceReading } from "./access-source.ts";
import { isExactValue } from "./access-value.ts";
import { Candidates, PathIndex } from "./path-index.ts";
import { type PathNormalization, pathInRules } from "./path-normalization.ts";

/** A rule that stands in an index. */
export interface IndexedRule {
  /** The place among all rules; the first that fits decides. */
  readonly order: number;
}

/** What keys mean besides their texts. */
export interface IndexReading extends SourceReading {
  readonly normalization: PathNormalization;
}

/** One thing about calls that rules are found by. */
interface Dimension<Rule extends IndexedRule> {
  /** Texts, or beginnings with a star behind, of which every call has one that the rule fits; `undefined`: it may have any. */
  readonly keysOf: (rule: AccessRule, reading: IndexReading) => readonly string[] | undefined;
  readonly add: (key: string, rule: Rule) => void;
  readonly gather: (question: AccessQuestion, into: Candidates<Rule>) => void;
}

/**
 * Rules by who calls and what is called, so that a decision looks only at rules that may fit. Each rule stands under that key
 * which it shares with the fewest others; those without any are always looked at. Finding them makes next to nothing.
 */
export class AccessIndex<Rule extends IndexedRule> {
  readonly #used: readonly Dimension<Rule>[];
  readonly #always: Rule[] = [];
  readonly #candidates = new Candidates<Rule>();

  /** @param rules in their order. */
  constructor(rules: readonly { readonly rule: Rule; readonly written: AccessRule; readonly reading: IndexReading }[]) {
    const dimensions = dimensionsOf<Rule>();
    const keyed = dimensions.map((dimension) => {
      const keys = rules.map(({ written, reading }) => dimension.keysOf(written, reading));
      return { dimension, keys, counts: countOf(keys.map((each) => each ?? [])) };
    });
    const used = new Set<Dimension<Rule>>();
    for (const [at, { rule }] of rules.entries()) {
      const [best] = keyed
        .map(({ dimension, keys, counts }) => ({ dimension, keys: keys[at], most: mostOf(keys[at], counts) }))
        .toSorted((a, b) => a.most - b.most);
      if (best?.keys === undefined) this.#always.push(rule);
      else {
        used.add(best.dimension);
        for (const key of new Set(best.keys)) best.dimension.add(key, rule);
      }
    }
    this.#used = [...used];
  }

  /** The first rule in order that may fit a call and of which `fits` says so. */
  find(question: AccessQuestion, fits: (rule: Rule, question: AccessQuestion) => boolean): Rule | undefined {
    const candidates = this.#candidates;
    candidates.clear();
    candidates.add(this.#always);
    for (const dimension of this.#used) dimension.gather(question, candidates);
    for (let rule = candidates.next(); rule !== undefined; rule = candidates.next()) {
      if (fits(rule, question)) return rule;
    }
    return undefined;
  }
}

/** Those that tell most apart for the least work come first, and are taken where several do as well. */
const dimensionsOf = <Rule extends IndexedRule>(): readonly Dimension<Rule>[] => [
  textDimension(
    ({ path }) => path,
    (rule, { normalization }) => pathKeys(rule, normalization),
  ),
  textDimension(
    ({ principal }) => principal,
    ({ from }, reading) => {
      const values = allHave(from, (source) => source.principals);
      return values === undefined ? undefined : wholeOrBeginnings(allPrincipalsMeant(values, reading));
    },
  ),
  workloadDimension(
    ({ namespace, serviceAccount }) =>
      namespace === undefined || serviceAccount === undefined ? undefined : `${namespace}/${serviceAccount}`,
    ({ from }, { namespace }) =>
      allHave(from, (source) => source.serviceAccounts)?.map((account) =>
        account.includes("/") ? account : `${namespace}/${account}`,
      ),
  ),
  workloadDimension(
    ({ namespace }) => namespace,
    ({ from }) => wholeOrBeginnings(allHave(from, (source) => source.namespaces)),
  ),
  headerDimension(),
];

/** Exact texts are found by a hash, beginnings by a tree. */
const textDimension = <Rule extends IndexedRule>(
  ask: (question: AccessQuestion) => string | undefined,
  keysOf: Dimension<Rule>["keysOf"],
): Dimension<Rule> => {
  const exact = new Map<string, Rule[]>();
  const beginnings = new PathIndex<Rule>();
  let someBegin = false;
  return {
    keysOf,
    add: (key, rule) => {
      if (!key.endsWith("*")) listIn(exact, key).push(rule);
      else {
        someBegin = true;
        const text = key.slice(0, -1);
        const way = text === "" ? [] : [{ kind: "text" as const, text }];
        beginnings.add({ way, follow: "anything", ignoreCase: false, partial: true }, rule);
      }
    },
    gather: (question, into) => {
      const value = ask(question);
      if (value === undefined) return;
      const found = exact.get(value);
      if (found !== undefined) into.add(found);
      if (someBegin) beginnings.gather(value, into);
    },
  };
};

/** As {@link textDimension}, but an identity that is no workload's may still fit rules that refuse: all are looked at. */
const workloadDimension = <Rule extends IndexedRule>(
  ask: (question: AccessQuestion) => string | undefined,
  keysOf: Dimension<Rule>["keysOf"],
): Dimension<Rule> => {
  const { add, gather } = textDimension<Rule>(ask, keysOf);
  const all: Rule[] = [];
  return {
    keysOf,
    add: (key, rule) => {
      if (all.at(-1) !== rule) all.push(rule);
      add(key, rule);
    },
    gather: (question, into) => {
      if (ask(question) === undefined && question.principal !== undefined) into.add(all);
      else gather(question, into);
    },
  };
};

/** The values of headers that rules compare exactly; a key is the header's name, a line break, and the value. */
const headerDimension = <Rule extends IndexedRule>(): Dimension<Rule> => {
  const byName = new Map<string, Map<string, Rule[]>>();
  return {
    keysOf: ({ when = [] }) => {
      for (const { key, values } of when) {
        const read = parseConditionKey(key);
        // An empty value means nothing, and a rule that refuses fits in doubt, whatever the header says.
        if (read?.kind !== "header" || !values?.every((value) => value !== "" && isExactValue(value))) continue;
        return values.map((value) => `${read.name}\n${value}`);
      }
      return undefined;
    },
    add: (key, rule) => {
      const end = key.indexOf("\n");
      const name = key.slice(0, end);
      const byValue = byName.get(name) ?? new Map<string, Rule[]>();
      byName.set(name, byValue);
      listIn(byValue, key.slice(end + 1)).push(rule);
    },
    gather: ({ header }, into) => {
      for (const [name, byValue] of byName) {
        const value = header?.(name);
        const found = value === undefined ? undefined : byValue.get(value);
        if (found !== undefined) into.add(found);
      }
    },
  };
};

const pathKeys = (rule: AccessRule, normalization: PathNormalization): readonly string[] | undefined => {
  const paths = allHave(rule.to, (operation) => operation.paths)?.map((path) => pathInRules(path, normalization));
  // A template that is none may fit anything in doubt.
  if (paths?.some((path) => isAccessTemplate(path) && wrongAccessTemplate(path) !== undefined)) return undefined;
  return wholeOrBeginnings(paths?.map((path) => (isAccessTemplate(path) ? `${beginningOfTemplate(path)}*` : path)));
};

/** The values, if none of them begins with a star. */
const wholeOrBeginnings = (values: readonly string[] | undefined): readonly string[] | undefined =>
  values?.every((value) => !value.startsWith("*")) === true ? values : undefined;

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
