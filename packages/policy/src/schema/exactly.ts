import type { z } from "zod";

/** A type with nothing but its shape: read-only all through, and without the proof that users never write. */
type Shape<T> = T extends readonly (infer Item)[]
  ? readonly Shape<Item>[]
  : T extends object
    ? { readonly [Field in keyof T as Field extends "linear" ? never : Field]: Shape<T[Field]> }
    : T;

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/**
 * Holds a schema to a hand-written type: a field that one of the two has and the other lacks, or an other optionality, is
 * a compile error. `exactly<ServicePolicy>()(z.strictObject({ … }))`.
 */
export const exactly =
  <T>(): (<S extends z.ZodType>(schema: Same<Shape<z.output<S>>, Shape<T>> extends true ? S : never) => z.ZodType<T>) =>
  (schema) =>
    // The parameter's type has proven that the shapes agree; they differ in `readonly` and in the proof at most.
    schema as z.ZodType as z.ZodType<T>;
