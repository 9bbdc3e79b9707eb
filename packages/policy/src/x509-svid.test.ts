import { X509Certificate } from "node:crypto";
import { createTestAuthority } from "@tulle/testing";
import { expect, test } from "vitest";
import { svidFlaw } from "./x509-svid.ts";

const authority = await createTestAuthority();
const leaf = new X509Certificate((await authority.issue()).certificateChain).raw;
const root = new X509Certificate(authority.root).raw;
const workload = "spiffe://cluster.local/ns/default/sa/reviews";

test("a leaf may speak for a workload, and for no whole trust domain", () => {
  expect(svidFlaw(leaf, workload)).toBeUndefined();
  expect(svidFlaw(leaf, "spiffe://cluster.local")).toContain("no path");
});

test("a CA may not", () => {
  expect(svidFlaw(root, workload)).toBe("it is a CA's certificate");
});

test("what is cut off anywhere within its extensions cannot be read, and may not either", () => {
  expect(svidFlaw(new Uint8Array(), workload)).toContain("cannot be read");
  for (let length = 1; length < leaf.length; length += 7) {
    expect(svidFlaw(leaf.subarray(0, length), workload)).toContain("cannot be read");
  }
});
