import { z } from "zod";
import type { PolicyPath } from "../policy-path.ts";

/** The field names that a schema knows where a path leads; of all alternatives where there are several. */
export const fieldsAt = (schema: z.ZodType, path: PolicyPath): readonly string[] => {
  const [step, ...rest] = path;
  return alternatives(schema).flatMap((each) => {
    if (step === undefined) return each instanceof z.ZodObject ? Object.keys(each.shape) : [];
    const inner = innerOf(each, step);
    return inner === undefined ? [] : fieldsAt(inner, rest);
  });
};

/** The way to every field of a schema, as documentation writes it: `rules[].match[].path.exact`, `subsets.*`. */
export const allFieldPaths = (schema: z.ZodType, before: string = ""): readonly string[] => {
  const found = alternatives(schema).flatMap((each) => {
    if (each instanceof z.ZodArray) return allFieldPaths(asType(each.element), `${before}[]`);
    if (each instanceof z.ZodRecord) return allFieldPaths(asType(each.valueType), `${before}.*`);
    if (!(each instanceof z.ZodObject)) return [];
    return Object.entries(each.shape).flatMap(([name, field]) => {
      const path = before === "" ? name : `${before}.${name}`;
      return [path, ...allFieldPaths(asType(field), path)];
    });
  });
  return [...new Set(found)];
};

const innerOf = (schema: z.ZodType, step: string | number): z.ZodType | undefined => {
  if (schema instanceof z.ZodArray) return asType(schema.element);
  if (schema instanceof z.ZodRecord) return asType(schema.valueType);
  const field = schema instanceof z.ZodObject ? schema.shape[step] : undefined;
  return field === undefined ? undefined : asType(field);
};

/** What lies under `optional`, `readonly` and unions. */
const alternatives = (schema: z.ZodType): readonly z.ZodType[] => {
  if (schema instanceof z.ZodExactOptional || schema instanceof z.ZodReadonly) {
    return alternatives(asType(schema.def.innerType));
  }
  if (schema instanceof z.ZodUnion) return schema.options.flatMap((option) => alternatives(asType(option)));
  return [schema];
};

/** zod types the inside of its schemas as core types; all of ours are made by the classic API. */
const asType = (schema: unknown): z.ZodType => schema as z.ZodType;
