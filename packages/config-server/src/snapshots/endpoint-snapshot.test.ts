import type { Endpoint } from "@tulle/policy";
import { describe, expect, it } from "vitest";
import { EndpointSnapshot, endpointsFor } from "./endpoint-snapshot.ts";

describe("the endpoint snapshot", () => {
  const endpoint = (id: string): Endpoint => ({
    id,
    address: "10.0.0.1",
    port: 80,
    transport: "mtls",
    labels: {},
    health: "healthy",
    serviceAccount: "a",
  });
  const many = Array.from({ length: 250 }, (_, n) => endpoint(`i${String(n).padStart(3, "0")}`));

  it("cuts services into slices, and tells of a service that has none", () => {
    const snapshot = new EndpointSnapshot({ revision: "r.1", services: new Map([["default/a", many]]) });
    const wanted = endpointsFor(snapshot, ["default/a", "default/none"]);
    const sizes = [...wanted].map(([name, { json }]) => [name, JSON.parse(json).endpoints.length]);
    expect(sizes.at(-1)).toEqual(["endpoints/default/none/-", 0]);
    expect(sizes.length).toBeGreaterThan(3);
    expect(Math.max(...sizes.map(([, size]) => size))).toBeLessThanOrEqual(100);
  });

  it("keeps what did not change: services whole, and of others the slices", () => {
    const b = [endpoint("b")];
    const first = new EndpointSnapshot({
      revision: "r.1",
      services: new Map([
        ["default/a", many],
        ["default/b", b],
      ]),
    });
    const before = first.slicesOf("default/a");
    const bBefore = first.slicesOf("default/b");
    const changed = many.map((each, at) => (at === 0 ? { ...each, port: 81 } : each));
    const next = new EndpointSnapshot(
      {
        revision: "r.2",
        services: new Map([
          ["default/a", changed],
          ["default/b", b],
        ]),
      },
      first,
    );
    expect(next.slicesOf("default/b")).toBe(bBefore);
    const after = next.slicesOf("default/a");
    expect(after.filter((slice) => !before.includes(slice))).toHaveLength(1);
    expect(after).toHaveLength(before.length);
  });
});
