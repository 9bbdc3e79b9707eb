import { z } from "zod";
import { wrongAccessHost, wrongAccessPath, wrongAccountReference } from "../access-check.ts";
import { wrongConditionKey } from "../access-condition.ts";
import type { AccessCondition, AccessOperation, AccessPolicy, AccessRule, AccessSource } from "../access-policy.ts";
import { numberLimits, wrongAccessMethod, wrongPrincipal, wrongWildcard } from "../field-limits.ts";
import { whyNoFrameworkRoute } from "../framework-route.ts";
import { wrongIpRange } from "../ip-range.ts";
import { exactly } from "./exactly.ts";
import { anyList, anyText, list, nameText, number, optional, text, texts } from "./fields.ts";
import { metaFields, selectorSchema } from "./meta-fields.ts";

const sourceSchema: z.ZodType<AccessSource> = exactly<AccessSource>()(
  z
    .strictObject({
      principals: optional(texts(wrongPrincipal, "cluster.local/ns/default/sa/productpage; * any authenticated peer.")),
      notPrincipals: optional(texts(wrongPrincipal, "None of them.")),
      requestPrincipals: optional(texts(wrongWildcard, "End users, by their token: issuer/subject; * any.")),
      notRequestPrincipals: optional(texts(wrongWildcard, "None of them.")),
      namespaces: optional(texts(wrongWildcard, "Namespaces of the caller's identity.")),
      notNamespaces: optional(texts(wrongWildcard, "None of them.")),
      serviceAccounts: optional(
        texts(wrongAccountReference, "account in the policy's namespace, or namespace/account."),
      ),
      notServiceAccounts: optional(texts(wrongAccountReference, "None of them.")),
      trustDomains: optional(texts(wrongWildcard, "Trust domains of the caller's identity.")),
      notTrustDomains: optional(texts(wrongWildcard, "None of them.")),
      addresses: optional(texts(wrongIpRange, "IP addresses and ranges that the connection comes from.")),
      notAddresses: optional(texts(wrongIpRange, "None of them.")),
      remoteAddresses: optional(texts(wrongIpRange, "The same of the first caller, before trusted proxies.")),
      notRemoteAddresses: optional(texts(wrongIpRange, "None of them.")),
    })
    .meta({ description: "Who calls; all fields must hold." }),
);

const ports = (description: string) => optional(list(number(numberLimits.accessPort, ""), description));

const operationSchema: z.ZodType<AccessOperation> = exactly<AccessOperation>()(
  z
    .strictObject({
      hosts: optional(texts(wrongAccessHost, "As the caller wrote it, with its port; without case.")),
      notHosts: optional(texts(wrongAccessHost, "None of them.")),
      ports: ports("Ports that the process listens on."),
      notPorts: ports("None of them."),
      methods: optional(texts(wrongAccessMethod, "Upper case; * any.")),
      notMethods: optional(texts(wrongAccessMethod, "None of them.")),
      paths: optional(texts(wrongAccessPath, "Exact, /start*, *end, *, or with {*} and {**}; without query.")),
      notPaths: optional(texts(wrongAccessPath, "None of them.")),
      routes: optional(texts(whyNoFrameworkRoute, "Route templates of Express or Fastify: /reviews/:id; * any.")),
      notRoutes: optional(texts(whyNoFrameworkRoute, "None of them.")),
    })
    .meta({ description: "What is called; all fields must hold." }),
);

const conditionSchema: z.ZodType<AccessCondition> = exactly<AccessCondition>()(
  z
    .strictObject({
      key: text(wrongConditionKey, "request.headers[name], request.auth.claims[name], source.ip and the like."),
      values: optional(list(z.string(), "Any of them.")),
      notValues: optional(list(z.string(), "None of them.")),
    })
    .meta({ description: "What an attribute must be." }),
);

const ruleSchema: z.ZodType<AccessRule> = exactly<AccessRule>()(
  z.strictObject({
    name: optional(anyText("For refusals and explanations. Default the rule's place, from 0.")),
    from: optional(list(sourceSchema, "Any of them. Default any caller.")),
    to: optional(list(operationSchema, "Any of them. Default any call.")),
    when: optional(list(conditionSchema, "All of them. Default none.")),
  }),
);

/** The schema of `Access`. */
export const accessSchema: z.ZodType<AccessPolicy> = exactly<AccessPolicy>()(
  z
    .strictObject({
      kind: z.literal("Access"),
      ...metaFields,
      selector: optional(selectorSchema),
      action: optional(z.enum(["allow", "deny", "audit", "custom"]).meta({ description: 'Default "allow".' })),
      authorizer: optional(nameText("For custom: who is asked, one of the Mesh policy's authorizers.")),
      rules: optional(anyList(ruleSchema, "Any of them. Default none: an allow that allows nothing.")),
    })
    .meta({ description: "Who may call what, decided by the receiving side." }),
);
