import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { mkdtemp, readdir, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeClock } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import { memoryKeyStore, openFileKeyStore } from "./key-store.ts";
import { openAuthority } from "./open-authority.ts";

const HOUR_MS = 3_600_000;
const trustDomain = "cluster.local";
const reviews = "spiffe://cluster.local/ns/default/sa/reviews";

const spki = (): Uint8Array =>
  generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ type: "spki", format: "der" });

describe("an authority", () => {
  test("issues an X.509-SVID: empty subject, critical URI SAN, client and server, no CA, back-dated 20 s", async () => {
    const clock = new FakeClock();
    const authority = await openAuthority({ keyStore: memoryKeyStore(), trustDomain, clock });
    const issued = await authority.issueSvid({ publicKey: spki(), spiffeId: reviews });
    const leaf = new X509Certificate(issued.chain);
    expect(leaf.subject).toBeFalsy();
    expect(leaf.subjectAltName).toBe(`URI:${reviews}`);
    expect(leaf.ca).toBe(false);
    expect(leaf.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
    expect(leaf.validFromDate.getTime()).toBe(clock.wallNow() - 20_000);
    expect(leaf.validToDate.getTime()).toBe(clock.wallNow() + 24 * HOUR_MS);
    expect(issued.notAfterMs).toBe(leaf.validToDate.getTime());
    expect(leaf.verify(new X509Certificate(authority.bundle.roots[0] ?? "").publicKey)).toBe(true);
    // 2.5.29.17, critical: the OID is followed by BOOLEAN TRUE.
    expect(leaf.raw.includes(Buffer.from("0603551d110101ff", "hex"))).toBe(true);
  });

  test("never lets a leaf outlive its issuer, and issues nothing once the issuer ended", async () => {
    const clock = new FakeClock();
    const authority = await openAuthority({ keyStore: memoryKeyStore(), trustDomain, clock });
    const root = new X509Certificate(authority.bundle.roots[0] ?? "");
    clock.advance(root.validToDate.getTime() - clock.wallNow() - HOUR_MS);
    const issued = await authority.issueSvid({ publicKey: spki(), spiffeId: reviews });
    expect(issued.notAfterMs).toBe(root.validToDate.getTime());
    clock.advance(HOUR_MS);
    await expect(authority.issueSvid({ publicKey: spki(), spiffeId: reviews })).rejects.toThrow("issuing CA ended");
  });

  test("gives its server a certificate for hosts and addresses with the root in the chain, which the pin names", async () => {
    const authority = await openAuthority({ keyStore: memoryKeyStore(), trustDomain, clock: new FakeClock() });
    const { chain, privateKey } = await authority.issueServerCertificate(["localhost", "127.0.0.1"]);
    const [leaf, root] = chain.split(/(?<=-----END CERTIFICATE-----\n)/).filter((pem) => pem.trim() !== "");
    const certificate = new X509Certificate(leaf ?? "");
    expect(certificate.checkHost("localhost")).toBe("localhost");
    expect(certificate.checkIP("127.0.0.1")).toBe("127.0.0.1");
    expect(certificate.subjectAltName).toContain("URI:spiffe://cluster.local/ns/tulle-system/sa/config-server");
    expect(privateKey).toContain("BEGIN PRIVATE KEY");
    const rootKey = new X509Certificate(root ?? "").publicKey.export({ type: "spki", format: "der" });
    const digest = await crypto.subtle.digest("SHA-256", new Uint8Array(rootKey));
    expect(Buffer.from(digest).toString("base64url")).toBe(authority.pins[0]);
  });

  test("is the same after a restart, its key readable by the owner alone", async () => {
    const folder = join(await mkdtemp(join(tmpdir(), "tulle-")), "keys");
    const open = async () =>
      openAuthority({ keyStore: await openFileKeyStore(folder), trustDomain, clock: new FakeClock() });
    const first = await open();
    const second = await open();
    expect(second.bundle).toEqual(first.bundle);
    expect(second.pins).toEqual(first.pins);
    for (const name of await readdir(folder)) expect((await stat(join(folder, name))).mode & 0o777).toBe(0o600);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
  });

  test("refuses a key store that is incomplete, mixed up, or of another trust domain", async () => {
    const clock = new FakeClock();
    const keyStore = memoryKeyStore();
    await openAuthority({ keyStore, trustDomain, clock });
    await expect(openAuthority({ keyStore, trustDomain: "other.test", clock })).rejects.toThrow(
      'belongs to "spiffe://cluster.local", not to the trust domain "other.test"',
    );
    const incomplete = memoryKeyStore();
    await incomplete.write("ca.pem", (await keyStore.read("ca.pem")) ?? "");
    await expect(openAuthority({ keyStore: incomplete, trustDomain, clock })).rejects.toThrow("no ca-key.pem");
    const stranger = memoryKeyStore();
    await openAuthority({ keyStore: stranger, trustDomain, clock });
    await keyStore.write("ca-key.pem", (await stranger.read("ca-key.pem")) ?? "");
    await expect(openAuthority({ keyStore, trustDomain, clock })).rejects.toThrow("is not the key of");
    await keyStore.write("authority.json", "{");
    await expect(openAuthority({ keyStore, trustDomain, clock })).rejects.toThrow("authority.json in the state folder");
  });
});

test("takes over what an earlier version kept: roots in ca.pem, the key in ca-key.pem", async () => {
  const clock = new FakeClock();
  const keyStore = memoryKeyStore();
  const first = await openAuthority({ keyStore, trustDomain, clock });
  await keyStore.remove("authority.json");
  const second = await openAuthority({ keyStore, trustDomain, clock });
  expect([second.bundle, second.pins]).toEqual([first.bundle, first.pins]);
});

describe("verifying an X.509-SVID", () => {
  const setUp = async () => {
    const clock = new FakeClock();
    const authority = await openAuthority({
      keyStore: memoryKeyStore(),
      trustDomain,
      clock,
      certificateTtlMs: HOUR_MS,
    });
    const issue = async (spiffeId: string) =>
      new X509Certificate((await authority.issueSvid({ publicKey: spki(), spiffeId })).chain);
    return { clock, authority, issue };
  };

  test("accepts its own", async () => {
    const { authority, issue } = await setUp();
    expect(authority.verifySvid(await issue(reviews))).toMatchObject({ valid: true, spiffeId: reviews });
  });

  test("refuses another CA's, also one of the same name", async () => {
    const { authority } = await setUp();
    const other = await setUp();
    expect(authority.verifySvid(await other.issue(reviews))).toMatchObject({
      reason: "it was not issued by this mesh's CA",
    });
  });

  test("refuses one that is expired or not yet valid", async () => {
    const { authority, issue, clock } = await setUp();
    const certificate = await issue(reviews);
    clock.jumpWall(HOUR_MS);
    expect(authority.verifySvid(certificate)).toMatchObject({ reason: expect.stringContaining("it expired at") });
    clock.jumpWall(-2 * HOUR_MS);
    expect(authority.verifySvid(certificate)).toMatchObject({ reason: expect.stringContaining("not valid before") });
  });

  test("refuses a CA and an identity of another trust domain", async () => {
    const { authority, issue } = await setUp();
    expect(authority.verifySvid(new X509Certificate(authority.bundle.roots[0] ?? ""))).toMatchObject({
      reason: "it is a CA's certificate",
    });
    expect(authority.verifySvid(await issue("spiffe://cluster.local.evil.test/ns/default/sa/reviews"))).toMatchObject({
      reason: expect.stringContaining("is not of the trust domain cluster.local"),
    });
  });
});
