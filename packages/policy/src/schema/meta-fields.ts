import { z } from "zod";
import type { PolicyMeta, PolicyOrigin } from "../policy-meta.ts";
import type { WorkloadSelector } from "../selector.ts";
import { exactly } from "./exactly.ts";
import { labels, NOT_YET, nameText, optional } from "./fields.ts";

/** Where something was read from. */
export const originSchema: z.ZodType<PolicyOrigin> = exactly<PolicyOrigin>()(
  z
    .strictObject({ file: z.string(), line: z.int().min(1) })
    .meta({ description: "Where the policy was read from; filled in by whoever reads a file." }),
);

/** What all kinds have in common, to be spread into the fields of each. */
export const metaFields: {
  readonly name: z.ZodType<string>;
  readonly namespace: z.ZodExactOptional<z.ZodType<string>>;
  readonly labels: z.ZodExactOptional<z.ZodType<NonNullable<PolicyMeta["labels"]>>>;
  readonly mode: z.ZodExactOptional<z.ZodType<NonNullable<PolicyMeta["mode"]>>>;
  readonly origin: z.ZodExactOptional<z.ZodType<PolicyOrigin>>;
} = {
  name: nameText("Unique among the policies of its kind and namespace."),
  namespace: optional(nameText('Default "default".')),
  labels: optional(labels("For people and tools; they select nothing.")),
  mode: optional(z.enum(["enforce", "dry-run"]).meta({ description: `Default "enforce". dry-run: ${NOT_YET}` })),
  origin: optional(originSchema),
};

/** Which workloads of its namespace a policy is for. */
export const selectorSchema: z.ZodType<WorkloadSelector> = exactly<WorkloadSelector>()(
  z
    .strictObject({
      service: optional(nameText("A service of the policy's namespace; of the root namespace, in any. Default: all.")),
      labels: optional(labels("Labels that the workload must carry, all of them.")),
    })
    .meta({
      description:
        "Which workloads the policy is for. Default: every one of the namespace; of the root namespace, of the mesh.",
    }),
);
