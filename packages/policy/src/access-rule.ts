import { compileConditionValues, conditionFields } from "./access-condition.ts";
import {
  compileHosts,
  compileMethods,
  compilePorts,
  compileRouteTemplates,
  operationFields,
} from "./access-operation.ts";
import { compileAccessPaths } from "./access-path.ts";
import type { AccessCondition, AccessOperation, AccessRule, AccessSource } from "./access-policy.ts";
import type { AccessTest } from "./access-question.ts";
import {
  compileAddresses,
  compileNamespaces,
  compilePrincipals,
  compileRequestPrincipals,
  compileServiceAccounts,
  compileTrustDomains,
  type SourceReading,
  sourceFields,
} from "./access-source.ts";
import type { PathNormalization } from "./path-normalization.ts";

/** What a rule means besides its values. */
export interface RuleReading extends SourceReading {
  readonly normalization: PathNormalization;
  /**
   * Whether what is in doubt fits. It does where fitting refuses, asks or notes, and does not where fitting allows: a field
   * that this version does not know, or a value that means nothing, never lets anybody in.
   */
  readonly doubtFits: boolean;
}

/** Compiles a rule: any of `from`, any of `to`, all of `when`. */
export const compileAccessRule = (rule: AccessRule, reading: RuleReading): AccessTest => {
  const tests: AccessTest[] = [];
  // What needs the fewest steps first.
  if (rule.to !== undefined) tests.push(anyOf(rule.to.map((operation) => compileOperation(operation, reading))));
  if (rule.from !== undefined) tests.push(anyOf(rule.from.map((source) => compileSource(source, reading))));
  for (const condition of rule.when ?? []) tests.push(...compileCondition(condition, reading));
  tests.push(...unknownFields(rule, ruleFields, reading));
  return allOf(tests);
};

/** Every field of a rule, so that a field that this version does not know can be told. */
const ruleFields: ReadonlySet<string> = new Set(["name", "from", "to", "when"] satisfies (keyof AccessRule)[]);

type Compile<T> = (values: readonly T[], wide: boolean) => AccessTest;

/** A field and its negation. What lacks the attribute fits no value, and therefore every `not`. */
const field = <T>(
  values: readonly T[] | undefined,
  notValues: readonly T[] | undefined,
  compile: Compile<T>,
  { doubtFits }: RuleReading,
): readonly AccessTest[] => {
  const tests: AccessTest[] = [];
  if (values !== undefined) tests.push(orDoubt(() => compile(values, doubtFits), doubtFits));
  if (notValues !== undefined) {
    tests.push(
      orDoubt(() => {
        // In a negation doubt goes the other way.
        const fits = compile(notValues, !doubtFits);
        return (question) => !fits(question);
      }, doubtFits),
    );
  }
  return tests;
};

const orDoubt = (compile: () => AccessTest, doubtFits: boolean): AccessTest => {
  try {
    return compile();
  } catch {
    return () => doubtFits;
  }
};

const compileSource = (source: AccessSource, reading: RuleReading): AccessTest =>
  allOf([
    ...field(source.principals, source.notPrincipals, (values) => compilePrincipals(values, reading), reading),
    ...field(source.namespaces, source.notNamespaces, compileNamespaces, reading),
    ...field(
      source.serviceAccounts,
      source.notServiceAccounts,
      (values, wide) => compileServiceAccounts(values, reading, wide),
      reading,
    ),
    ...field(source.trustDomains, source.notTrustDomains, (values) => compileTrustDomains(values, reading), reading),
    ...field(source.requestPrincipals, source.notRequestPrincipals, compileRequestPrincipals, reading),
    ...field(source.addresses, source.notAddresses, (values) => compileAddresses(values, "address"), reading),
    ...field(
      source.remoteAddresses,
      source.notRemoteAddresses,
      (values) => compileAddresses(values, "remoteAddress"),
      reading,
    ),
    ...unknownFields(source, sourceFields, reading),
  ]);

const compileOperation = (operation: AccessOperation, reading: RuleReading): AccessTest =>
  allOf([
    ...field(operation.methods, operation.notMethods, compileMethods, reading),
    ...field(
      operation.paths,
      operation.notPaths,
      (values, wide) => {
        const fits = compileAccessPaths(values, reading.normalization, wide);
        return ({ path }) => fits(path);
      },
      reading,
    ),
    ...field(operation.ports, operation.notPorts, compilePorts, reading),
    ...field(operation.hosts, operation.notHosts, compileHosts, reading),
    ...field(operation.routes, operation.notRoutes, compileRouteTemplates, reading),
    ...unknownFields(operation, operationFields, reading),
  ]);

const compileCondition = (condition: AccessCondition, reading: RuleReading): readonly AccessTest[] => {
  const { key, values, notValues } = condition;
  const tests = field(values, notValues, (list, wide) => compileConditionValues(key, list, reading, wide), reading);
  // A condition that asks nothing was never checked, and nobody knows what it meant.
  const empty = tests.length === 0 ? [() => reading.doubtFits] : [];
  return [...tests, ...empty, ...unknownFields(condition, conditionFields, reading)];
};

const unknownFields = (value: object, known: ReadonlySet<string>, { doubtFits }: RuleReading): readonly AccessTest[] =>
  Object.entries(value).some(([name, each]) => each !== undefined && !known.has(name)) ? [() => doubtFits] : [];

// Loops and not `every` and `some`: those would make a closure for each call that is decided.
const allOf = (tests: readonly AccessTest[]): AccessTest => {
  const [first, second] = tests;
  if (first === undefined) return () => true;
  if (second === undefined) return first;
  if (tests.length === 2) return (question) => first(question) && second(question);
  return (question) => {
    for (const test of tests) if (!test(question)) return false;
    return true;
  };
};

const anyOf = (tests: readonly AccessTest[]): AccessTest => {
  const [only] = tests;
  if (tests.length === 1 && only !== undefined) return only;
  return (question) => {
    for (const test of tests) if (test(question)) return true;
    return false;
  };
};
