import type { MemberStatus } from "@tulle/protocol";
import { describe, expect, test } from "vitest";
import { heldBack, type RotationFacts } from "./rotation-guard.ts";

const HOUR_MS = 3_600_000;

const member = (id: string, status: Partial<MemberStatus>): MemberStatus => ({
  id,
  service: "default/reviews",
  spiffeId: "spiffe://cluster.local/ns/default/sa/reviews",
  labels: {},
  software: "tulle/0.1.0",
  protocol: 1,
  features: [],
  connected: true,
  sinceMs: 0,
  revisions: {},
  refusals: {},
  subscriptions: [],
  ...status,
});

const waiting = (facts: Pick<RotationFacts, "phase" | "members">): readonly string[] =>
  heldBack({ trustRevision: "t.1", activeRoot: "new", longestLeafMs: 24 * HOUR_MS, nowMs: 10 * HOUR_MS, ...facts }).map(
    ({ member: id, reason }) => `${id} ${reason}`,
  );

describe("a rotation is held back", () => {
  test("before the new root signs, by whoever may live and does not trust it", () => {
    const members = [
      member("trusts", { revisions: { trust: "t.1" } }),
      member("late", { revisions: { trust: "t.0" } }),
      member("refuses", { refusals: { trust: { revision: "t.1", reason: "no certificate" } } }),
      member("lost", { connected: false, sinceMs: 9 * HOUR_MS, certificateNotAfterMs: 11 * HOUR_MS }),
      member("lost without a known end", { connected: false, sinceMs: 9 * HOUR_MS }),
      member("lost and ended", { connected: false, certificateNotAfterMs: 10 * HOUR_MS }),
      member("lost with trust", { connected: false, revisions: { trust: "t.1" }, certificateNotAfterMs: 11 * HOUR_MS }),
    ];
    expect(waiting({ phase: "distributing", members })).toEqual([
      "late has not acknowledged the new root yet",
      "refuses refused it: no certificate",
      "lost was lost at 1970-01-01T09:00:00.000Z without the new root, and its certificate lives until 1970-01-01T11:00:00.000Z",
      "lost without a known end was lost at 1970-01-01T09:00:00.000Z without the new root, and its certificate lives until 1970-01-02T09:00:00.000Z",
    ]);
  });

  test("before the old root goes, by whoever shows a certificate of it that has not ended", () => {
    const members = [
      member("new", { certificateRoot: "new", certificateNotAfterMs: 20 * HOUR_MS }),
      member("old", { certificateRoot: "old", certificateNotAfterMs: 20 * HOUR_MS }),
      member("ended", { certificateRoot: "old", certificateNotAfterMs: 9 * HOUR_MS }),
    ];
    expect(waiting({ phase: "activated", members })).toEqual([
      "old shows a certificate of the root old until 1970-01-01T20:00:00.000Z",
    ]);
    expect(waiting({ phase: "prepared", members })).toEqual([]);
  });
});
