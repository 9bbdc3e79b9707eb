import { z } from "zod";
import { policySchemas } from "./kinds.ts";

/** The drafts of JSON Schema that are written into the package. */
export const jsonSchemaDrafts = ["draft-07", "2020-12"] as const;

/** One of them. */
export type JsonSchemaDraft = (typeof jsonSchemaDrafts)[number];

const targets = { "draft-07": "draft-7", "2020-12": "draft-2020-12" } as const;

/** The schema of one policy document of any kind, for editors. */
export const policyJsonSchema = (draft: JsonSchemaDraft): Readonly<Record<string, unknown>> => {
  const anyPolicy = z
    .union(Object.values(policySchemas))
    .meta({ title: "Tulle policy", description: "One policy of a Tulle mesh, of any kind." });
  return {
    ...z.toJSONSchema(anyPolicy, {
      target: targets[draft],
      io: "input",
      // Read-only is how the values are typed; an editor would take it for "not to be written".
      override: ({ jsonSchema }) => {
        delete jsonSchema.readOnly;
      },
    }),
  };
};
