import type { Endpoint } from "@tulle/policy";
import { balanced } from "@tulle/testing/balancing";
import { describe, expect, test } from "vitest";
import { tierByLabels, tierByLocality } from "./failover-tiers.ts";

const at = (region?: string, zone?: string, subzone?: string): Endpoint["locality"] => ({
  ...(region === undefined ? {} : { region }),
  ...(zone === undefined ? {} : { zone }),
  ...(subzone === undefined ? {} : { subzone }),
});
const endpointIn = (locality: Endpoint["locality"]): Endpoint =>
  balanced("a", locality === undefined ? {} : { locality }).endpoint;

describe("tiers by locality", () => {
  const tierFrom = (own: Endpoint["locality"], to: Endpoint["locality"]): string =>
    tierByLocality({ locality: own, labels: {} }, [{ from: "eu", to: "uk" }])(endpointIn(to)).name;

  test.each([
    [at("eu", "a", "1"), "same subzone"],
    [at("eu", "a", "2"), "same zone"],
    [at("eu", "a"), "same zone"],
    [at("eu", "b", "1"), "same region"],
    [at("eu"), "same region"],
    [at("uk", "a", "1"), "region uk"],
    [at("us", "a", "1"), "elsewhere"],
    [undefined, "elsewhere"],
  ])("of a caller in eu/a/1 whose region fails over to uk, %j is: %s", (locality, tier) => {
    expect(tierFrom(at("eu", "a", "1"), locality)).toBe(tier);
  });

  test("what the caller does not know of itself is not compared", () => {
    expect(tierFrom(at("eu", "a"), at("eu", "a", "9"))).toBe("same zone");
    expect(tierFrom(at("eu"), at("eu", "b"))).toBe("same region");
  });

  test("zones of one name in two regions are not the same", () => {
    expect(tierFrom(at("us", "a"), at("eu", "a"))).toBe("elsewhere");
  });

  test("a region that stands in for another one's does not for ours", () => {
    expect(tierFrom(at("us", "a"), at("uk", "a"))).toBe("elsewhere");
  });

  test("the tiers are in the order of their distance", () => {
    const tierOf = tierByLocality({ locality: at("eu", "a", "1"), labels: {} }, [{ from: "eu", to: "uk" }]);
    const far = [at("us"), at("uk"), at("eu", "b"), at("eu", "a"), at("eu", "a", "1")].map(endpointIn);
    expect(far.map((endpoint) => tierOf(endpoint).order)).toEqual([4, 3, 2, 1, 0]);
  });
});

describe("tiers by labels", () => {
  const place = { locality: at("eu", "a"), labels: { network: "n1", rack: "7" } };
  const tierOf = (order: readonly string[], labels: Record<string, string>, locality?: Endpoint["locality"]): string =>
    tierByLabels(place, order)({ ...endpointIn(locality), labels }).name;

  test("endpoints that carry the first n labels are nearer than those that carry fewer", () => {
    const order = ["network", "rack", "version=v1"];
    expect(tierOf(order, { network: "n1", rack: "7", version: "v1" })).toBe("3 of 3 labels");
    expect(tierOf(order, { network: "n1", rack: "7", version: "v2" })).toBe("2 of 3 labels");
    expect(tierOf(order, { network: "n1", rack: "8", version: "v1" })).toBe("1 of 3 labels");
  });

  test("a label after one that differs does not count", () => {
    expect(tierOf(["network", "rack"], { network: "n2", rack: "7" })).toBe("0 of 2 labels");
  });

  test("a written value counts instead of the caller's own", () => {
    expect(tierOf(["rack=8"], { rack: "8" })).toBe("1 of 1 labels");
    expect(tierOf(["rack=8"], { rack: "7" })).toBe("0 of 1 labels");
  });

  test("a label that the caller lacks is shared with nobody", () => {
    expect(tierOf(["colour"], {})).toBe("0 of 1 labels");
  });

  test("the labels of Kubernetes for region and zone mean the locality", () => {
    const order = ["topology.kubernetes.io/region", "topology.kubernetes.io/zone"];
    expect(tierOf(order, {}, at("eu", "a"))).toBe("2 of 2 labels");
    expect(tierOf(order, {}, at("eu", "b"))).toBe("1 of 2 labels");
  });
});
