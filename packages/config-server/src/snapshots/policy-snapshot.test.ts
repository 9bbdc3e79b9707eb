import {
  type AccessPolicy,
  externalService,
  type Policy,
  policyKey,
  type RoutePolicy,
  type ServiceKey,
  type ServicePolicy,
} from "@tulle/policy";
import { describe, expect, it } from "vitest";
import type { PolicyRevision } from "../store/policy-store.ts";
import { buildPolicySnapshot, policiesFor, unsendableResources } from "./policy-snapshot.ts";

const revisionOf = (number: number, policies: readonly Policy[]): PolicyRevision => ({
  revision: `e.${number}`,
  policies: new Map(policies.map((policy) => [policyKey(policy), policy])),
});

const service = (name: string, more: Partial<ServicePolicy> = {}): ServicePolicy => ({
  kind: "Service",
  name,
  ...more,
});
const route = (name: string, ...services: string[]): RoutePolicy => ({ kind: "Route", name, services, rules: [] });
const access = (name: string, selected: string): AccessPolicy => ({
  kind: "Access",
  name,
  selector: { service: selected },
});

describe("the policy snapshot", () => {
  const policies = [service("a"), service("b"), route("r", "a"), access("x", "b")];
  const snapshot = buildPolicySnapshot(revisionOf(1, policies), "cluster.local");

  it("has the mesh, the names, and each service with its routes and its inbound policy", () => {
    expect(snapshot.revision).toBe("e.1");
    expect(JSON.parse(snapshot.mesh.json)).toEqual({ kind: "Mesh", name: "mesh", trustDomain: "cluster.local" });
    expect(snapshot.names.map(({ name, json }) => [name, JSON.parse(json)])).toEqual([
      ["names/-", { names: [{ key: "default/a" }, { key: "default/b" }] }],
      ["external-names/-", { names: [] }],
    ]);
    expect(JSON.parse(snapshot.services.get("default/a")!.json)).toEqual({
      key: "default/a",
      policy: service("a"),
      routes: [route("r", "a")],
    });
    expect(JSON.parse(snapshot.inbound.get("default/b")!.json)).toEqual({
      service: service("b"),
      access: [access("x", "b")],
      authentication: [],
    });
  });

  it("keeps the resources that did not change, and only those", () => {
    const next = buildPolicySnapshot(
      revisionOf(2, [service("a"), ...policies.slice(1, 3), access("y", "b")]),
      "cluster.local",
      snapshot,
    );
    expect(next.mesh).toBe(snapshot.mesh);
    expect(next.names[0]).toBe(snapshot.names[0]);
    expect(next.services.get("default/a")).toBe(snapshot.services.get("default/a"));
    expect(next.services.get("default/b")).toBe(snapshot.services.get("default/b"));
    expect(next.inbound.get("default/a")).toBe(snapshot.inbound.get("default/a"));
    expect(next.inbound.get("default/b")!.version).not.toBe(snapshot.inbound.get("default/b")!.version);
  });

  it("is as if made anew, whatever came before", () => {
    const next = buildPolicySnapshot(
      revisionOf(2, [service("b", { port: 81 }), service("c"), route("r", "c")]),
      "cluster.local",
      snapshot,
    );
    const anew = buildPolicySnapshot(
      revisionOf(2, [service("b", { port: 81 }), service("c"), route("r", "c")]),
      "cluster.local",
    );
    expect([...next.services]).toEqual([...anew.services]);
    expect([...next.inbound]).toEqual([...anew.inbound]);
    expect(next.names).toEqual(anew.names);
  });

  it("gives a member what it calls and what it enforces, and nothing of other services but their names", () => {
    const names = (own: ServiceKey, ...subscriptions: ServiceKey[]) => [
      ...policiesFor(snapshot, own, subscriptions).keys(),
    ];
    expect(names("default/b", "default/a", "default/none")).toEqual([
      "mesh",
      "names/-",
      "external-names/-",
      "inbound/default/b",
      "service/default/a",
    ]);
    expect(names("other/x")).toEqual(["mesh", "names/-", "external-names/-"]);
  });

  it("tells of services outside the mesh in resources of their own, which older members keep and do not use", () => {
    const payments = externalService("payments", "api.example");
    const passing = externalService("clouds", "*.example", { resolution: "none" });
    const outside = buildPolicySnapshot(revisionOf(2, [...policies, payments, passing]), "cluster.local", snapshot);
    expect(JSON.parse(outside.names.find(({ name }) => name === "external-names/-")!.json)).toEqual({
      names: [
        { key: "default/clouds", hosts: ["*.example"], passes: true },
        { key: "default/payments", hosts: ["api.example"] },
      ],
    });
    expect([...policiesFor(outside, "other/x", ["default/payments", "default/clouds"]).keys()]).toEqual([
      "mesh",
      "names/-",
      "external-names/-",
      "external/default/payments",
    ]);
    expect(JSON.parse(outside.external.get("default/payments")!.json)).toEqual({
      key: "default/payments",
      policy: payments,
      routes: [],
    });
    const next = buildPolicySnapshot(revisionOf(3, [...policies, payments, passing]), "cluster.local", outside);
    expect(next.external.get("default/payments")).toBe(outside.external.get("default/payments"));
  });

  it("says which resources could not be sent", () => {
    const hosts = Array.from({ length: 10_000 }, (_, n) => `host-${n}.a-long-domain.example`);
    const found = unsendableResources([service("a", { hosts }), service("b")]);
    expect(found.map(({ name }) => name)).toEqual(["names/-", "service/default/a", "inbound/default/a"]);
    expect(found[0]?.message).toMatch(/the resource names\/- has \d+ bytes; at most 196608 are allowed/);
    expect(unsendableResources(policies)).toEqual([]);
  });
});
