// Writes the JSON Schemas that the package carries. By hand, after a change of the zod schemas:
//   node --conditions=@tulle/source packages/policy/scripts/generate-json-schema.ts
import { writeFileSync } from "node:fs";
import { jsonSchemaDrafts, policyJsonSchema } from "../src/schema.ts";

for (const draft of jsonSchemaDrafts) {
  const file = new URL(`../policies.${draft}.json`, import.meta.url);
  writeFileSync(file, `${JSON.stringify(policyJsonSchema(draft), undefined, 2)}\n`);
}
