import { describe, expect, it } from "vitest";
import { buildTrustSnapshot } from "./trust-snapshot.ts";

describe("the trust snapshot", () => {
  it("has the same position for the same roots, and another epoch for others", () => {
    const bundles = [
      { trustDomain: "b", roots: ["2"] },
      { trustDomain: "a", roots: ["1"] },
    ];
    const snapshot = buildTrustSnapshot(bundles);
    expect([...snapshot.resources.keys()]).toEqual(["bundle/a", "bundle/b"]);
    expect(buildTrustSnapshot(bundles.toReversed()).revision).toBe(snapshot.revision);
    expect(buildTrustSnapshot(bundles.slice(1)).revision).not.toBe(snapshot.revision);
    expect(snapshot.revision).toMatch(/^[\w-]{22}\.1$/);
  });
});
