import type { Policy } from "@tulle/policy";

/** The services of the fault tests: a productpage that calls reviews in two versions, split 80 to 20. */
export const reviewsPolicies = (
  weights: { readonly v1: number; readonly v2: number } = { v1: 80, v2: 20 },
): Policy[] => [
  { kind: "Mesh", name: "mesh" },
  { kind: "Service", name: "productpage" },
  { kind: "Service", name: "reviews", subsets: { v1: { version: "v1" }, v2: { version: "v2" } } },
  {
    kind: "Route",
    name: "reviews",
    services: ["reviews"],
    rules: [
      {
        split: [
          { subset: "v1", weight: weights.v1 },
          { subset: "v2", weight: weights.v2 },
        ],
      },
    ],
  },
  {
    kind: "Access",
    name: "reviews-callers",
    selector: { service: "reviews" },
    action: "allow",
    rules: [{ from: [{ principals: ["cluster.local/ns/default/sa/productpage"] }] }],
  },
];
