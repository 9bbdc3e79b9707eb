import {
  buildNameIndex,
  type OutboundSnapshot,
  type RoutePolicy,
  type RouteRule,
  type ServicePolicy,
} from "@tulle/policy";
import { expect, test } from "vitest";
import { checkOutbound } from "./check-outbound.ts";

const snapshot = (service: Partial<ServicePolicy>, rule: RouteRule): OutboundSnapshot => {
  const policy: ServicePolicy = { kind: "Service", name: "reviews", ...service };
  const route: RoutePolicy = { kind: "Route", name: "reviews", services: ["reviews"], rules: [rule] };
  return {
    revision: "test.1",
    mesh: { kind: "Mesh", name: "mesh" },
    names: buildNameIndex([], "default"),
    services: new Map([["default/reviews", { key: "default/reviews", policy, routes: [route], endpoints: [] }]]),
  };
};

test("a snapshot that can be run has nothing against it, also when it is asked again", () => {
  const good = snapshot({}, { match: [{ path: { regex: "/reviews/\\d+" } }], timeout: "2s" });
  expect([checkOutbound(good), checkOutbound(good)]).toEqual([undefined, undefined]);
});

test.each([
  ["a field without behaviour", snapshot({ concurrencyLimit: {} }, {}), /concurrencyLimit.*not supported yet/],
  ["a value without behaviour", snapshot({ mode: "dry-run" }, {}), /mode.*not supported yet/],
  ["a pattern that is none", snapshot({}, { match: [{ path: { regex: "(" } }] }), /routes of default\/reviews/],
  ["a duration that is none", snapshot({}, { timeout: "soon" as "1s" }), /rules\[0\]\.timeout/],
])("%s is a reason to refuse the revision, and is named", (_what, refused, reason) => {
  expect(checkOutbound(refused)).toMatch(reason);
});
