import { expect, test } from "vitest";
import { checkPolicy } from "./check-policy.ts";
import { fitsLocality, localityName, wrongLocalityPattern } from "./locality-pattern.ts";
import { effectiveLocality, type Locality } from "./locality-policy.ts";

const problemsOf = (locality: Locality): readonly string[] =>
  checkPolicy({ kind: "Service", name: "reviews", locality }).map(({ path, message }) => `${path}: ${message}`);

test.each<Locality>([
  { mode: "failover" },
  { mode: "failover", failover: [{ from: "eu", to: "uk" }], overprovisioningPercent: 200 },
  { mode: "failover", failoverPriority: ["topology.kubernetes.io/region", "version=v1"] },
  { mode: "distribute", distribute: [{ from: "eu/a/*", to: { "eu/a/*": 80, "eu/*": 20 } }] },
  { mode: "weighted", weights: { "eu/a": 3 } },
  { mode: "zone-aware", minimumClusterSize: 3, routingEnabledPercent: 50, forceLocalZoneMinimum: 2 },
])("takes %j", (locality) => {
  expect(problemsOf(locality)).toEqual([]);
});

test.each<[Locality, string]>([
  [
    { mode: "failover", failover: [{ from: "eu/a", to: "uk" }] },
    'locality.failover[0].from: "eu/a" is not a region: write its name alone, without "/"',
  ],
  [
    { mode: "failover", failover: [{ from: "eu", to: "eu" }] },
    "locality.failover[0].to: a region cannot stand in for itself",
  ],
  [
    {
      mode: "failover",
      failover: [
        { from: "eu", to: "uk" },
        { from: "eu", to: "us" },
      ],
    },
    'locality.failover[1].from: where calls of "eu" go is said twice',
  ],
  [
    { mode: "failover", failoverPriority: ["=v1"] },
    'locality.failoverPriority[0]: "=v1" names no label: write "key" or "key=value"',
  ],
  [
    { mode: "failover", failover: [{ from: "eu", to: "uk" }], failoverPriority: ["rack"] },
    "locality.failoverPriority: it orders by labels what failover orders by regions: write one of them",
  ],
  [
    { mode: "failover", overprovisioningPercent: 99 },
    "locality.overprovisioningPercent: 99 is not a whole number from 100 to 1000",
  ],
  [
    { mode: "distribute", distribute: [{ from: "eu", to: { "eu/a": 80, "eu/b": 10 } }] },
    "locality.distribute[0].to: the shares are 90 percent together, not 100",
  ],
  [
    { mode: "distribute", distribute: [{ from: "*/a", to: { "*": 100 } }] },
    'locality.distribute[0].from: "*/a" is not a locality: write "region/zone/subzone", "region/zone/*", "region/*" or "*"',
  ],
  [
    { mode: "zone-aware", minimumClusterSize: 0 },
    "locality.minimumClusterSize: 0 is not a whole number from 1 to 10000",
  ],
])("refuses %j", (locality, problem) => {
  expect(problemsOf(locality)).toEqual([problem]);
});

test("is off where nothing is said, and has Envoy's figures where it is asked for", () => {
  expect(effectiveLocality({})).toBeUndefined();
  expect(effectiveLocality({ locality: { mode: "failover" } })).toMatchObject({ overprovisioningPercent: 140 });
  expect(effectiveLocality({ locality: { mode: "zone-aware" } })).toMatchObject({
    minimumClusterSize: 6,
    routingEnabledPercent: 100,
  });
});

test.each([
  ["eu/a/1", true],
  ["eu/a/*", true],
  ["eu/a", true],
  ["eu/*", true],
  ["eu", true],
  ["*", true],
  ["eu/a/2", false],
  ["eu/b/*", false],
  ["us", false],
])("%s means eu/a/1: %s", (pattern, fits) => {
  expect(wrongLocalityPattern(pattern)).toBeUndefined();
  expect(fitsLocality(pattern, { region: "eu", zone: "a", subzone: "1" })).toBe(fits);
});

test("a locality is named as far as it is known", () => {
  expect(localityName({ region: "eu", zone: "a", subzone: "1" })).toBe("eu/a/1");
  expect(localityName({ region: "eu" })).toBe("eu");
  expect(localityName({ zone: "a" })).toBe("/a");
  expect(localityName(undefined)).toBe("");
});
