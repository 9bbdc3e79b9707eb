import type { AccessPolicy, InboundSnapshot } from "@tulle/policy";
import { expect, test } from "vitest";
import { checkInbound } from "./check-inbound.ts";

const snapshot = (access: Partial<AccessPolicy>): InboundSnapshot => ({
  revision: "test.1",
  mesh: { kind: "Mesh", name: "mesh" },
  service: { kind: "Service", name: "reviews" },
  access: [{ kind: "Access", name: "callers", ...access }],
  authentication: [],
});

test("what can be enforced, and nothing at all, is no reason to refuse", () => {
  expect(checkInbound(undefined)).toBeUndefined();
  expect(checkInbound(snapshot({ rules: [{ from: [{ principals: ["*"] }] }] }))).toBeUndefined();
});

test.each([
  ["an action without behaviour", { action: "custom" }, /action.*not supported yet/],
  [
    "a field without behaviour",
    { rules: [{ to: [{ hosts: ["a"] }] }] },
    /rules\[0\]\.to\[0\]\.hosts.*not supported yet/,
  ],
] as const)("%s is a reason to refuse the revision, and is named", (_what, access, reason) => {
  expect(checkInbound(snapshot(access))).toMatch(reason);
});
