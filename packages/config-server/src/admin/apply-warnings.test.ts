import type { Policy, RoutePolicy } from "@tulle/policy";
import type { EndpointList } from "@tulle/protocol";
import { expect, test } from "vitest";
import { applyWarnings } from "./apply-warnings.ts";

const reviews: Policy = {
  kind: "Service",
  name: "reviews",
  subsets: { v1: { version: "v1" }, v3: { version: "v3" } },
};
const to = (subset: string, weight = 1): RoutePolicy => ({
  kind: "Route",
  name: "reviews",
  services: ["reviews"],
  rules: [{ split: [{ subset: "v1" }, { subset, weight }] }],
});
const one: EndpointList = {
  services: [
    {
      service: "default/reviews",
      endpoints: [
        {
          id: "reviews-1",
          address: "127.0.0.1",
          port: 1,
          transport: "mtls",
          labels: { version: "v1", zone: "a" },
          health: "healthy",
          serviceAccount: "reviews",
          owner: "spiffe://cluster.local/ns/default/sa/reviews",
        },
      ],
    },
  ],
};

test.each<[string, RoutePolicy, EndpointList, readonly string[]]>([
  [
    "a subset that nobody belongs to",
    to("v3"),
    one,
    ["Route/default/reviews sends calls to default/reviews:v3, and none of the service's endpoints belongs to it"],
  ],
  ["a subset without weight", to("v3", 0), one, []],
  ["a subset that somebody belongs to", to("v1"), one, []],
  ["a service that nobody runs yet", to("v3"), { services: [] }, []],
])("%s", (_, route, endpoints, warnings) => {
  expect(applyWarnings([route], [reviews, route], endpoints)).toEqual(warnings);
});
