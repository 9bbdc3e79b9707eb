import type { Policy, PolicyKey, ServicePolicy } from "@tulle/policy";
import { policyKey } from "@tulle/policy";
import { describe, expect, it } from "vitest";
import { changePolicies } from "./change-policies.ts";

const service = (name: string, more: Partial<ServicePolicy> = {}): ServicePolicy => ({
  kind: "Service",
  name,
  ...more,
});
const mapOf = (...policies: readonly Policy[]) => new Map(policies.map((policy) => [policyKey(policy), policy]));

describe("changePolicies", () => {
  it("tells what was created, updated, unchanged and deleted", () => {
    const present = mapOf(service("a"), service("b"), service("c"));
    const { policies, changes } = changePolicies(
      present,
      [service("d"), service("b", { port: 81 }), service("a")],
      ["Service/default/c", "Service/default/none"],
    );
    expect(changes).toEqual([
      { key: "Service/default/c", change: "deleted" },
      { key: "Service/default/d", change: "created" },
      { key: "Service/default/b", change: "updated" },
      { key: "Service/default/a", change: "unchanged" },
    ]);
    expect([...policies.keys()]).toEqual(["Service/default/a", "Service/default/b", "Service/default/d"]);
  });

  it("keeps the object of a policy that says the same, in another order of fields and from another line", () => {
    const before = service("a", { port: 81, hosts: ["x"], origin: { file: "a.yaml", line: 1 } });
    const again: Policy = { name: "a", hosts: ["x"], port: 81, kind: "Service", origin: { file: "a.yaml", line: 9 } };
    const { policies, changes } = changePolicies(mapOf(before), [again], []);
    expect(changes).toEqual([{ key: "Service/default/a", change: "unchanged" }]);
    expect(policies.get("Service/default/a")).toBe(before);
  });

  it("takes a route whose rules came from other lines for the same", () => {
    const from = (line: number): Policy => ({
      kind: "Route",
      name: "a",
      services: ["a"],
      rules: [{ timeout: "1s", origin: { file: "a.yaml", line } }],
    });
    expect(changePolicies(mapOf(from(1)), [from(7)], []).changes).toEqual([
      { key: "Route/default/a", change: "unchanged" },
    ]);
  });

  it("takes a policy that is deleted and put in one change for an update", () => {
    const key: PolicyKey = "Service/default/a";
    const { policies, changes } = changePolicies(mapOf(service("a")), [service("a", { port: 81 })], [key]);
    expect(changes).toEqual([{ key, change: "updated" }]);
    expect(policies.get(key)).toMatchObject({ port: 81 });
  });

  it("leaves the policies that it was given as they were", () => {
    const present = mapOf(service("a"));
    changePolicies(present, [service("b")], ["Service/default/a"]);
    expect([...present.keys()]).toEqual(["Service/default/a"]);
  });
});
