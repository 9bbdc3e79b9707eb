import type { Policy } from "@tulle/policy";
import type { MemberStatus } from "@tulle/protocol";
import { expect, test } from "vitest";
import type { MemberCallers } from "../push/members.ts";
import { strictWarnings } from "./strict-warnings.ts";

const NOW = 10_000_000;

const permissive: readonly Policy[] = [
  { kind: "Mesh", name: "mesh", mtls: "permissive" },
  { kind: "Service", name: "reviews" },
];
const strict = (labels: Readonly<Record<string, string>>): readonly Policy[] => [
  ...permissive,
  { kind: "Authentication", name: "a", selector: { labels }, mtls: { mode: "strict" } },
];
const member: MemberStatus = {
  id: "reviews-1",
  service: "default/reviews",
  spiffeId: "spiffe://cluster.local/ns/default/sa/reviews",
  labels: { version: "v1" },
  software: "tulle/0.1.0",
  protocol: 1,
  features: [],
  connected: true,
  sinceMs: 0,
  revisions: {},
  refusals: {},
  subscriptions: [],
};
const callers = (...agents: readonly string[]): MemberCallers => ({
  member: "reviews-1",
  service: "default/reviews",
  callers: agents.map((userAgent, at) => ({
    address: `10.0.0.${at}`,
    userAgent,
    transport: "plaintext",
    requests: 1,
    lastSeenMs: NOW - 600_000,
  })),
});
const warnings = (after: readonly Policy[], report: MemberCallers, nowMs = NOW, before = permissive) =>
  strictWarnings(before, after, [report], [member], nowMs);

test("a service that becomes strict warns of those whom it will refuse", () => {
  expect(warnings(strict({ version: "v1" }), callers("curl", "node"))).toEqual([
    "default/reviews becomes strict and will refuse callers that came without an identity within 10 minutes: 10.0.0.0 (curl), 10.0.0.1 (node); see tulle plaintext",
  ]);
});

test("more than five callers are counted", () => {
  expect(warnings(strict({ version: "v1" }), callers(..."abcdefg"))[0]).toContain("10.0.0.4 (e), and 2 more;");
});

test.each<[string, readonly string[]]>([
  ["whom nobody called of late", warnings(strict({ version: "v1" }), callers("curl"), NOW + 1)],
  ["that only others become", warnings(strict({ version: "v2" }), callers("curl"))],
  ["that was strict before", warnings(strict({ version: "v1" }), callers("curl"), NOW, strict({ version: "v1" }))],
  ["that stays permissive", warnings(permissive, callers("curl"))],
  ["that is gone", warnings([], callers("curl"))],
])("a service %s warns of nobody", (_, found) => expect(found).toEqual([]));
