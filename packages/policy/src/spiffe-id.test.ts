import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { corpus } from "../test/corpus.ts";
import {
  formatSpiffeId,
  isOfTrustDomain,
  isTrustDomain,
  parseSpiffeId,
  parseWorkloadIdentity,
  principalOf,
  workloadIdentity,
} from "./spiffe-id.ts";

const reviews = "spiffe://cluster.local/ns/default/sa/reviews";

test("an ID is read into its parts and printed letter by letter", () => {
  expect(parseSpiffeId(reviews)).toEqual({ trustDomain: "cluster.local", path: "/ns/default/sa/reviews" });
  expect(parseSpiffeId("spiffe://td")).toEqual({ trustDomain: "td", path: "" });
  fc.assert(
    fc.property(
      fc.stringMatching(/^[a-z0-9._-]{1,20}$/),
      fc.array(fc.stringMatching(/^[A-Za-z0-9_-]{1,8}$/), { maxLength: 4 }),
      (trustDomain, segments) => {
        const id = { trustDomain, path: segments.map((segment) => `/${segment}`).join("") };
        expect(parseSpiffeId(formatSpiffeId(id))).toEqual(id);
      },
    ),
  );
});

test.each([
  ["SPIFFE://cluster.local/a"],
  ["https://cluster.local/a"],
  ["spiffe://Cluster.local/a"],
  ["spiffe://cluster.local:443/a"],
  ["spiffe://user@cluster.local/a"],
  ["spiffe://cluster.local/a?b"],
  ["spiffe://cluster.local/a#b"],
  ["spiffe://cluster.local/a\n"],
  ["spiffe://cluster.local\n"],
  [`spiffe://${"a".repeat(256)}/a`],
  [`spiffe://td/${"a".repeat(2_048)}`],
])("%j is no SPIFFE ID", (text) => {
  expect(parseSpiffeId(text)).toBeUndefined();
});

test("a workload's identity in Istio's form", () => {
  expect(workloadIdentity("cluster.local", "default", "reviews")).toBe(reviews);
  expect(parseWorkloadIdentity(reviews)).toEqual({
    trustDomain: "cluster.local",
    namespace: "default",
    serviceAccount: "reviews",
  });
  expect(parseWorkloadIdentity("spiffe://td/ns/a/sa/b/c")).toBeUndefined();
  expect(parseWorkloadIdentity("spiffe://td/ns/a")).toBeUndefined();
  expect(parseWorkloadIdentity("spiffe://td/sa/a/ns/b")).toBeUndefined();
  expect(() => workloadIdentity("td", "a/sa/b", "c")).toThrow(RangeError);
  expect(() => workloadIdentity("td", "", "c")).toThrow("is no SPIFFE ID");
  expect(() => workloadIdentity("TD", "a", "c")).toThrow(RangeError);
});

test("a trust domain is compared whole", () => {
  expect(isOfTrustDomain(reviews, "cluster.local")).toBe(true);
  expect(isOfTrustDomain(reviews, "cluster")).toBe(false);
  expect(isOfTrustDomain("cluster.local/ns/default/sa/reviews", "cluster.local")).toBe(false);
});

test("a principal is an ID without its scheme", () => {
  expect(principalOf(reviews)).toBe("cluster.local/ns/default/sa/reviews");
  expect(principalOf("reviews")).toBeUndefined();
});

interface Case {
  readonly in: string;
  readonly valid: boolean;
  readonly source: string;
}
const ids = corpus<{ ids: Case[]; trustDomains: Case[] }>("spiffe/ids.json");

describe.skipIf(ids.missing)(`IDs of go-spiffe's tests${ids.note}`, () => {
  const { ids: texts, trustDomains } = ids.read() ?? { ids: [], trustDomains: [] };
  test("there are some", () => expect(ids.missing || texts.length > 50).toBe(true));
  test.each(texts)("$source: $in", ({ in: text, valid }) => {
    expect(parseSpiffeId(text) !== undefined).toBe(valid);
  });
  test.each(trustDomains)("$source: $in", ({ in: text, valid }) => {
    expect(isTrustDomain(text)).toBe(valid);
  });
});
