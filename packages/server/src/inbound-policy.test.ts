import type { AccessPolicy, InboundSnapshot } from "@tulle/policy";
import { Watchable } from "@tulle/time";
import { expect, test } from "vitest";
import { CurrentInbound } from "./inbound-policy.ts";

const snapshot = (revision: string, access: readonly AccessPolicy[] = []): InboundSnapshot => ({
  revision,
  mesh: { kind: "Mesh", name: "mesh" },
  service: { kind: "Service", name: "reviews" },
  access,
  authentication: [],
});

test("compiles when the snapshot changes and not when it is read", () => {
  const inbound = new Watchable<InboundSnapshot | undefined>(undefined);
  const current = new CurrentInbound(inbound, {});
  expect(current.policy).toBeUndefined();
  inbound.set(snapshot("a.1"));
  const first = current.policy;
  expect(first).toMatchObject({
    revision: "a.1",
    mtls: { mode: "strict" },
    trustDomain: "cluster.local",
    hasAccess: false,
  });
  expect(current.policy).toBe(first);
  inbound.set(snapshot("a.2", [{ kind: "Access", name: "nobody" }]));
  expect(current.policy).toMatchObject({ revision: "a.2", hasAccess: true });
});

test("keeps the last good policy when the next one is missing or cannot be compiled", () => {
  const inbound = new Watchable<InboundSnapshot | undefined>(snapshot("a.1"));
  const current = new CurrentInbound(inbound, {});
  inbound.set(undefined);
  expect(current.policy?.revision).toBe("a.1");
  // What no checked policy can look like.
  inbound.set({ ...snapshot("a.2"), access: [null as unknown as AccessPolicy] });
  expect(current.policy?.revision).toBe("a.1");
  expect(current.rejected).toBe(1);
});

test("hears nothing more when it is closed", () => {
  const inbound = new Watchable<InboundSnapshot | undefined>(snapshot("a.1"));
  const current = new CurrentInbound(inbound, {});
  current.close();
  inbound.set(snapshot("a.2"));
  expect(current.policy?.revision).toBe("a.1");
});

test("two instances of one service hold to the policies that their own labels select", () => {
  const canary = { labels: { version: "v2" } };
  const inbound = new Watchable<InboundSnapshot | undefined>({
    ...snapshot("a.1", [{ kind: "Access", name: "nobody", selector: canary }]),
    authentication: [{ kind: "Authentication", name: "open", selector: canary, mtls: { mode: "permissive" } }],
  });
  const first = new CurrentInbound(inbound, { version: "v1" });
  const second = new CurrentInbound(inbound, { version: "v2" });
  expect(first.policy).toMatchObject({ hasAccess: false, mtls: { mode: "strict" } });
  expect(second.policy).toMatchObject({ hasAccess: true, mtls: { mode: "permissive" } });
});
