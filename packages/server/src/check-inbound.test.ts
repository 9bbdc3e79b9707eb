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
  ["an action that cannot work", { action: "custom", rules: [{}] }, /name who is asked/],
  ["a value that means nothing", { rules: [{ from: [{ addresses: ["a"] }] }] }, /rules\[0\]\.from\[0\]\.addresses/],
  [
    "a mode without behaviour",
    { kind: "Authentication", mode: "dry-run", mtls: { mode: "strict" } },
    /mode.*not supported yet/,
  ],
] as const)("%s is a reason to refuse the revision, and is named", (_what, access, reason) => {
  // The last is no access policy: the check looks at every policy alike.
  expect(checkInbound(snapshot(access as Partial<AccessPolicy>))).toMatch(reason);
});
