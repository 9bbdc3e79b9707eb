import { z } from "zod";
import type { AccessOperation, AccessPolicy, AccessRule, AccessSource } from "../access-policy.ts";
import { wrongAccessMethod, wrongAccessPath, wrongPrincipal, wrongWildcard } from "../field-limits.ts";
import { exactly } from "./exactly.ts";
import { anyList, anyText, laterList, list, NOT_YET, optional, texts } from "./fields.ts";
import { metaFields, selectorSchema } from "./meta-fields.ts";

const laterTexts = optional(anyList(z.string(), NOT_YET));

const sourceSchema: z.ZodType<AccessSource> = exactly<AccessSource>()(
  z
    .strictObject({
      principals: optional(texts(wrongPrincipal, "cluster.local/ns/default/sa/productpage; * any authenticated peer.")),
      notPrincipals: optional(texts(wrongPrincipal, "None of them.")),
      namespaces: optional(texts(wrongWildcard, "Namespaces of the caller's identity.")),
      notNamespaces: optional(texts(wrongWildcard, "None of them.")),
      trustDomains: laterTexts,
      serviceAccounts: laterTexts,
      requestPrincipals: laterTexts,
      addresses: laterTexts,
    })
    .meta({ description: "Who calls; all fields must hold." }),
);

const operationSchema: z.ZodType<AccessOperation> = exactly<AccessOperation>()(
  z
    .strictObject({
      methods: optional(texts(wrongAccessMethod, "Upper case; * any.")),
      notMethods: optional(texts(wrongAccessMethod, "None of them.")),
      paths: optional(texts(wrongAccessPath, "Exact, /start*, *end or *; without query.")),
      notPaths: optional(texts(wrongAccessPath, "None of them.")),
      hosts: laterTexts,
      ports: optional(anyList(z.number(), NOT_YET)),
    })
    .meta({ description: "What is called; all fields must hold." }),
);

const ruleSchema: z.ZodType<AccessRule> = exactly<AccessRule>()(
  z.strictObject({
    name: optional(anyText("For refusals and explanations. Default the rule's place, from 0.")),
    from: optional(list(sourceSchema, "Any of them. Default any caller.")),
    to: optional(list(operationSchema, "Any of them. Default any call.")),
    when: laterList("Further conditions."),
  }),
);

/** The schema of `Access`. */
export const accessSchema: z.ZodType<AccessPolicy> = exactly<AccessPolicy>()(
  z
    .strictObject({
      kind: z.literal("Access"),
      ...metaFields,
      selector: optional(selectorSchema),
      action: optional(
        z
          .enum(["allow", "deny", "audit", "custom"])
          .meta({ description: `Default "allow". audit, custom: ${NOT_YET}` }),
      ),
      rules: optional(anyList(ruleSchema, "Any of them. Default none: an allow that allows nothing.")),
    })
    .meta({ description: "Who may call what, decided by the receiving side." }),
);
