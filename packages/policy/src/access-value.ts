/** Whether a value fits; what is not there fits nothing. */
export type ValueTest = (value: string | undefined) => boolean;

/** How values are compared. */
export interface ValueComparison {
  /** Whether `*` alone fits a value that is there but empty, as that of a header may be. @default false */
  readonly emptyIsThere?: boolean;
  /** @default false */
  readonly ignoreCase?: boolean;
}

/**
 * Compiles a list of values of which any may fit: `*` any value that is there, `*end`, `start*`, else exact. A star elsewhere
 * is an ordinary character, as in Istio.
 */
export const compileValues = (values: readonly string[], comparison: ValueComparison = {}): ValueTest => {
  const { emptyIsThere = false, ignoreCase = false } = comparison;
  const written = ignoreCase ? values.map((value) => value.toLowerCase()) : values;
  if (written.includes("*")) return emptyIsThere ? isThere : isThereAndHolds;
  const exact = new Set<string>();
  const starts: string[] = [];
  const ends: string[] = [];
  for (const value of written) {
    if (value.startsWith("*")) ends.push(value.slice(1));
    else if (value.endsWith("*")) starts.push(value.slice(0, -1));
    else exact.add(value);
  }
  const fits = (value: string): boolean => {
    if (exact.has(value)) return true;
    for (const start of starts) if (value.startsWith(start)) return true;
    for (const end of ends) if (value.endsWith(end)) return true;
    return false;
  };
  if (ignoreCase) return (value) => value !== undefined && value !== "" && fits(value.toLowerCase());
  return (value) => value !== undefined && value !== "" && fits(value);
};

const isThere: ValueTest = (value) => value !== undefined;
const isThereAndHolds: ValueTest = (value) => value !== undefined && value !== "";

/** Whether a value of a rule is compared exactly. */
export const isExactValue = (value: string): boolean => !value.startsWith("*") && !value.endsWith("*");
