import { X509Certificate } from "node:crypto";
import { createTestAuthority, FakeClock } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import { MemoryStore } from "../store/memory-store.ts";
import { openFederation } from "./federation.ts";
import { memoryKeyStore } from "./key-store.ts";
import { openAuthority } from "./open-authority.ts";
import { MAX_BUNDLE_LENGTH, readTrustBundle, writeJwks } from "./trust-bundle-format.ts";

const partner = await createTestAuthority("partner.test");

const setUp = async () => {
  const clock = new FakeClock(0, Date.now());
  const store = new MemoryStore(clock);
  const own = await openAuthority({ keyStore: memoryKeyStore(), trustDomain: "cluster.local", clock });
  const open = () => openFederation({ store, clock, trustDomain: "cluster.local", ownRoots: () => own.bundle.roots });
  return { clock, own, open, federation: await open() };
};

describe("federation", () => {
  test("keeps the bundle of another trust domain, from PEM or SPIFFE's JWK set, over a restart and for replicas", async () => {
    const { federation, open } = await setUp();
    const replica = await open();
    const { roots } = await federation.add("partner.test", partner.root);
    expect(roots.map((pem) => new X509Certificate(pem).fingerprint256)).toEqual([
      new X509Certificate(partner.root).fingerprint256,
    ]);
    expect(await federation.add("partner.test", writeJwks(partner.bundle))).toEqual({
      trustDomain: "partner.test",
      roots,
    });
    expect(replica.bundles.current).toEqual(federation.bundles.current);
    expect((await open()).bundles.current).toEqual([{ trustDomain: "partner.test", roots }]);
    expect(await federation.remove("partner.test")).toBe(true);
    expect(await federation.remove("partner.test")).toBe(false);
    expect(replica.bundles.current).toEqual([]);
  });

  test("refuses what must not be trusted, and says why", async () => {
    const { federation, own, clock } = await setUp();
    const refused = (trustDomain: string, text: string) => expect(federation.add(trustDomain, text)).rejects;
    await refused("cluster.local", partner.root).toThrow("this mesh's own trust domain");
    await refused("not a domain", partner.root).toThrow("is no trust domain");
    await refused("other.test", partner.root).toThrow("says that it is spiffe://partner.test, not of other.test");
    await refused("partner.test", own.bundle.roots[0]!).toThrow("says that it is spiffe://cluster.local");
    await refused("partner.test", (await partner.issue()).certificateChain).toThrow("is no CA");
    await refused("partner.test", "").toThrow("holds no root certificate");
    await refused("partner.test", `${"-".repeat(MAX_BUNDLE_LENGTH)}-`).toThrow("is longer than");
    await refused("partner.test", '{"keys":[{"use":"x509-svid","x5c":[]}]}').toThrow("is no SPIFFE trust bundle");
    await refused("partner.test", '{"keys":[{"use":"jwt-svid"}]}').toThrow("holds no root certificate");
    await refused("partner.test", "{").toThrow("is no SPIFFE trust bundle");
    clock.advance(10 * 24 * 3_600_000);
    await refused("partner.test", partner.root).toThrow("every root of the bundle has expired");
    expect(federation.bundles.current).toEqual([]);
  });

  test("lets no key speak for two trust domains", async () => {
    const { clock, own } = await setUp();
    // A root without a name of its own could be brought under any.
    const federation = await openFederation({
      store: new MemoryStore(clock),
      clock,
      trustDomain: "cluster.local",
      ownRoots: () => [partner.root, ...own.bundle.roots],
    });
    await expect(federation.add("partner.test", partner.root)).rejects.toThrow("speaks for cluster.local already");
  });
});

test("our own bundle as SPIFFE's JWK set can be read by the other side", async () => {
  const { own } = await setUp();
  const keys = JSON.parse(writeJwks(own.bundle)).keys;
  expect(keys).toMatchObject([{ kty: "EC", crv: "P-256", use: "x509-svid", x5c: [expect.any(String)] }]);
  expect(
    readTrustBundle("cluster.local", writeJwks(own.bundle)).roots.map((pem) => new X509Certificate(pem).raw),
  ).toEqual(own.bundle.roots.map((pem) => new X509Certificate(pem).raw));
});
