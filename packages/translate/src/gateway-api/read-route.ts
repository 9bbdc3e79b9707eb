import { documentMessage } from "../document-message.ts";
import { Fields } from "../fields.ts";
import type { Message } from "../message.ts";
import type { SourceDocument } from "../source-document.ts";
import type { SourceKind } from "../source-kind.ts";
import type { BoundRoute, PlacedRule, RouteKind } from "./attached-routes.ts";
import type { ReferenceContext } from "./backend-ref.ts";
import { checkCount, checkDistinct, wrongHostnamePattern, wrongSectionName } from "./field-forms.ts";
import type { OrderedMatch } from "./http-match.ts";
import { type Conflicts, readParents } from "./parent-ref.ts";
import { partsOf, type ReadRule } from "./rule.ts";

type SpecField = "parentRefs" | "hostnames" | "rules";
type RuleField = "name" | "matches";

/** What is different between routes of two kinds. */
export interface RouteReader<S extends string, R extends string> {
  readonly kind: RouteKind;
  readonly source: SourceKind;
  readonly spec: Message<S>;
  readonly rule: Message<R>;
  readonly mostMatches: number;
  /** The match of a rule that has none. */
  readonly everyCall: OrderedMatch;
  matchesOf(fields: Fields<R>): readonly OrderedMatch[];
  readRule(fields: Fields<R>, matches: readonly OrderedMatch[], references: ReferenceContext): ReadRule;
}

/** Most hosts and rules of a route, and matches of all its rules (Gateway API). */
const MOST_ITEMS = 16;
const MOST_MATCHES = 128;

/** Reads a route, and gives it once for every service that it is bound to. */
export const readRoute = <S extends string, R extends string>(
  document: SourceDocument,
  reader: RouteReader<S | SpecField, R | RuleField>,
  { home: _, ...shared }: ReferenceContext,
  conflicts: Conflicts,
): readonly BoundRoute[] => {
  const { context, statuses } = shared;
  const whole = new Fields(document.value, documentMessage, document, [], context.findings);
  const fields = whole.message("spec", reader.spec);
  if (fields === undefined) {
    whole.refuse("spec", `a ${document.kind} needs its spec`);
    return [];
  }
  const parents = readParents(fields, context, statuses, conflicts);
  checkHostnames(fields);
  // Of a consumer's route the policy lives where the service is, and a short name would mean another service.
  const isProducer = parents.every(({ consumer }) => consumer === undefined);
  const references = { ...shared, home: isProducer ? document.namespace : "" };
  const written: readonly Fields<R | RuleField>[] = fields.messages("rules", reader.rule) ?? [
    new Fields({}, reader.rule, document, ["spec", "rules"], context.findings),
  ];
  checkRules(fields, written, reader.mostMatches);
  const rules = written.flatMap((each, at) => readRules(each, at, document, reader, references));
  return parents.map((parent) => ({ kind: reader.kind, parent, document, rules }));
};

const readRules = <S extends string, R extends string>(
  fields: Fields<R | RuleField>,
  rule: number,
  document: SourceDocument,
  reader: RouteReader<S, R | RuleField>,
  references: ReferenceContext,
): readonly PlacedRule[] => {
  const matches = reader.matchesOf(fields);
  const read = reader.readRule(fields, matches, references);
  const ordered = matches.length === 0 ? [reader.everyCall] : matches;
  const own = `${document.name}/${fields.text("name") ?? rule}`;
  return ordered.flatMap(({ match, precedence }, place) =>
    partsOf(read, match, ordered.length === 1 ? own : `${own}/${place}`).map((written) => ({
      written,
      precedence,
      document,
      rule,
      place,
    })),
  );
};

const checkHostnames = (fields: Fields<SpecField>): void => {
  const hostnames = fields.texts("hostnames") ?? [];
  checkCount(fields, "hostnames", hostnames, MOST_ITEMS);
  for (const [at, each] of hostnames.entries()) {
    const wrong = wrongHostnamePattern(each);
    if (wrong !== undefined) fields.refuse("hostnames", wrong, at);
  }
};

const checkRules = (fields: Fields<SpecField>, rules: readonly Fields<RuleField>[], mostMatches: number): void => {
  checkCount(fields, "rules", rules, MOST_ITEMS);
  let matches = 0;
  const names: string[] = [];
  for (const rule of rules) {
    const written = rule.raw("matches");
    if (Array.isArray(written)) {
      checkCount(rule, "matches", written, mostMatches);
      matches += written.length;
    }
    const name = rule.text("name");
    if (name === undefined) continue;
    names.push(name);
    const wrong = wrongSectionName(name);
    if (wrong !== undefined) rule.refuse("name", wrong);
  }
  if (matches > MOST_MATCHES) fields.refuse("rules", `its rules have ${matches} matches, more than ${MOST_MATCHES}`);
  checkDistinct(fields, "rules", names);
};
