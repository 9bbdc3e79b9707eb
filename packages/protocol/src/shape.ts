import { ProtocolError } from "./protocol-error.ts";

/**
 * Checks one value out of a message and hands back what it knows of it. `path` is the way to it, for the error.
 *
 * @throws ProtocolError `bad-message`, naming the path, what was expected and what came.
 */
export type Shape<T> = (value: unknown, path: string) => T;

/** A field that may be absent. `null` is not absent. */
export interface OptionalField<T> {
  readonly optional: Shape<T>;
}

/** One entry per field of `T`, optional where the type says so: a field added to a message does not compile without its check. */
export type Fields<T> = {
  readonly [K in keyof T]-?: Record<never, never> extends Pick<T, K> ? OptionalField<T[K]> : Shape<T[K]>;
};

/** Refuses a value for its shape. */
export const refuse = (path: string, expected: string, value: unknown): never => {
  throw new ProtocolError("bad-message", `${path}: expected ${expected}, got ${describe(value)}`);
};

const MOST_SHOWN = 40;

const describe = (value: unknown): string => {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "object") return "an object";
  if (typeof value !== "string") return String(value);
  return value.length <= MOST_SHOWN ? JSON.stringify(value) : `a string of ${value.length} characters`;
};

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** An object. Fields that are not listed are dropped: a newer peer may say more than this version understands. */
export const object =
  <T>(fields: Fields<T>): Shape<T> =>
  (value, path) => {
    if (!isRecord(value)) return refuse(path, "an object", value);
    const known: Record<string, unknown> = {};
    // `Fields<T>` says of each field which of the two it is; iterating loses that, so the pairs are typed again here.
    for (const [name, field] of Object.entries(fields) as [string, Shape<unknown> | OptionalField<unknown>][]) {
      const present = Object.hasOwn(value, name) ? value[name] : undefined;
      if (typeof field === "function") known[name] = field(present, `${path}.${name}`);
      else if (present !== undefined) known[name] = field.optional(present, `${path}.${name}`);
    }
    // Every field of T has passed its own shape above.
    return known as T;
  };

/** Marks a field that may be absent. */
export const optional = <T>(shape: Shape<T>): OptionalField<T> => ({ optional: shape });

/** A string whose length in UTF-16 units lies between two bounds, both included. */
export const text =
  (min: number, max: number): Shape<string> =>
  (value, path) =>
    typeof value === "string" && value.length >= min && value.length <= max
      ? value
      : refuse(path, `a string of ${min} to ${max} characters`, value);

/** A string of a known form. */
export const matching =
  <T extends string>(pattern: RegExp, expected: string): Shape<T> =>
  (value, path) =>
    // The pattern is what makes a string a T.
    typeof value === "string" && pattern.test(value) ? (value as T) : refuse(path, expected, value);

/** A whole number between two bounds, both included. */
export const integer =
  (min: number, max: number): Shape<number> =>
  (value, path) =>
    typeof value === "number" && Number.isInteger(value) && value >= min && value <= max
      ? value
      : refuse(path, `a whole number from ${min} to ${max}`, value);

export const boolean: Shape<boolean> = (value, path) =>
  typeof value === "boolean" ? value : refuse(path, "true or false", value);

/** One of a few words. */
export const oneOf =
  <T extends string>(words: readonly T[]): Shape<T> =>
  (value, path) =>
    words.find((word) => word === value) ?? refuse(path, `one of ${words.join(", ")}`, value);

/** A list of at most `max` items. */
export const list =
  <T>(item: Shape<T>, max: number): Shape<readonly T[]> =>
  (value, path) => {
    if (!Array.isArray(value) || value.length > max) return refuse(path, `a list of at most ${max}`, value);
    return value.map((each, index) => item(each, `${path}[${index}]`));
  };

/** An object of free keys, at most `max` of them. */
export const record =
  <T>(key: Shape<string>, item: Shape<T>, max: number): Shape<Readonly<Record<string, T>>> =>
  (value, path) => {
    if (!isRecord(value)) return refuse(path, "an object", value);
    const entries = Object.entries(value);
    if (entries.length > max) return refuse(path, `at most ${max} entries`, entries);
    return Object.fromEntries(
      entries.map(([name, each]) => [key(name, `${path} key`), item(each, `${path}[${JSON.stringify(name)}]`)]),
    );
  };

/** The value, or `null`. */
export const nullable =
  <T>(shape: Shape<T>): Shape<T | null> =>
  (value, path) =>
    value === null ? null : shape(value, path);

/** Any object, whose content is checked elsewhere. */
export const anyObject = <T extends object>(value: unknown, path: string): T =>
  // Only its being an object is promised here; the caller's type says who checks the rest.
  isRecord(value) ? (value as T) : refuse(path, "an object", value);
