import { generateKeyPairSync, sign as signWith, X509Certificate } from "node:crypto";
import { FakeClock } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import { memoryKeyStore } from "../src/authority/key-store.ts";
import { type AuthorityOptions, openAuthority } from "../src/authority/open-authority.ts";
import { type TestCa, testCa } from "./test-ca.ts";

const HOUR_MS = 3_600_000;
const trustDomain = "cluster.local";
const spiffeId = "spiffe://cluster.local/ns/default/sa/reviews";

const spki = (): Uint8Array =>
  generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ type: "spki", format: "der" });

/** The handshake that proves a chain is OpenSSL's, on the real clock. */
const realNow = (): FakeClock => new FakeClock(0, Date.now());

const open = (ca: TestCa, options: Partial<AuthorityOptions> = {}) =>
  openAuthority({
    keyStore: memoryKeyStore(),
    trustDomain,
    clock: realNow(),
    certificateAuthority: { certificateChain: ca.chain, privateKey: ca.privateKey },
    ...options,
  });

describe("a given CA", () => {
  test.each(["P-256", "P-384", "RSA"] as const)(
    "signs leaves with %s, which carry its chain; the bundle holds its root alone",
    async (kind) => {
      const root = await testCa({ kind, name: "root" });
      const middle = await testCa({ kind, name: "middle", issuer: root, pathLength: 0 });
      const authority = await open(middle);
      expect(authority.bundle.roots.map((pem) => new X509Certificate(pem).subject)).toEqual(["CN=root"]);
      expect(authority.bundle.intermediates?.map((pem) => new X509Certificate(pem).subject)).toEqual(["CN=middle"]);
      const { chain } = await authority.issueSvid({ publicKey: spki(), spiffeId });
      const certificates = chain.split(/(?<=-----END CERTIFICATE-----\n)/).map((pem) => new X509Certificate(pem));
      expect(certificates.map(({ subject }) => subject)).toEqual([undefined, "CN=middle"]);
      expect(authority.verifySvid(certificates[0]!)).toMatchObject({ valid: true, spiffeId });
      const server = await authority.issueServerCertificate(["localhost"]);
      expect(server.chain.match(/BEGIN CERTIFICATE/g)).toHaveLength(3);
    },
  );

  test("never lets a leaf outlive the intermediate, nor the root above it", async () => {
    for (const [rootHours, middleHours] of [
      [10, 2],
      [2, 10],
    ] as const) {
      const root = await testCa({ name: "root", lifeMs: rootHours * HOUR_MS });
      const middle = await testCa({ name: "middle", issuer: root, lifeMs: middleHours * HOUR_MS });
      const ending = new X509Certificate(rootHours < middleHours ? root.certificate : middle.certificate);
      const { notAfterMs } = await (await open(middle)).issueSvid({ publicKey: spki(), spiffeId });
      expect(notAfterMs).toBe(ending.validToDate.getTime());
    }
  });

  test("says so when it comes near its end", async () => {
    const middle = await testCa({ name: "middle", issuer: await testCa({ name: "root" }), lifeMs: 10 * HOUR_MS });
    const clock = realNow();
    const authority = await open(middle, { clock });
    expect(authority.warnings()).toEqual([]);
    clock.advance(8.1 * HOUR_MS);
    expect(authority.warnings()).toEqual([expect.stringContaining("the issuing intermediate CN=middle ends at")]);
  });

  test("is refused where its chain is not good for leaves of the trust domain, in OpenSSL's words", async () => {
    const tight = await testCa({ name: "root", pathLength: 0 });
    await expect(open(await testCa({ name: "middle", issuer: tight }))).rejects.toThrow("PATH_LENGTH_EXCEEDED");
    const elsewhere = await testCa({ name: "root", permittedUriHost: "other.test" });
    await expect(open(await testCa({ name: "middle", issuer: elsewhere }))).rejects.toThrow(
      "cannot sign for the trust domain cluster.local: a certificate below it is refused as",
    );
    const here = await testCa({ name: "root", permittedUriHost: "cluster.local" });
    await expect(open(await testCa({ name: "middle", issuer: here }))).resolves.toBeDefined();
  });

  test("is refused where its parts do not fit together", async () => {
    const root = await testCa({ name: "root" });
    const middle = await testCa({ name: "middle", issuer: root });
    const other = await testCa({ name: "other" });
    const given = (certificateChain: string, privateKey?: string) =>
      open(root, { certificateAuthority: { certificateChain, ...(privateKey === undefined ? {} : { privateKey }) } });
    await expect(given("", root.privateKey)).rejects.toThrow("holds no certificate in PEM");
    await expect(given(middle.chain, other.privateKey)).rejects.toThrow("not the key of the first certificate");
    await expect(given(middle.chain, "nonsense")).rejects.toThrow("its privateKey cannot be read");
    await expect(given(middle.chain)).rejects.toThrow("neither a privateKey nor a sign function");
    await expect(given(middle.certificate, middle.privateKey)).rejects.toThrow(
      "neither in the chain nor in trustRoots",
    );
    await expect(given(middle.certificate + other.certificate, middle.privateKey)).rejects.toThrow(
      "certificate 1 of the chain (CN=middle) was not issued by the one behind it",
    );
    await expect(
      open(middle, {
        certificateAuthority: { certificateChain: middle.certificate, privateKey: middle.privateKey },
        trustRoots: root.certificate,
      }),
    ).resolves.toBeDefined();
  });

  test("takes over from a root of our own once that trusts its root, and not before", async () => {
    const keyStore = memoryKeyStore();
    const clock = realNow();
    const root = await testCa({ name: "root" });
    const middle = await testCa({ name: "middle", issuer: root });
    const first = await openAuthority({ keyStore, trustDomain, clock });
    const leaf = new X509Certificate((await first.issueSvid({ publicKey: spki(), spiffeId })).chain);
    await expect(open(middle, { keyStore, clock })).rejects.toThrow("which members have never been told of");
    const second = await openAuthority({ keyStore, trustDomain, clock, trustRoots: root.certificate });
    expect(second.bundle.roots).toEqual([...first.bundle.roots, root.certificate]);
    const third = await open(middle, { keyStore, clock });
    expect(third.rotation.phase).toBe("activated");
    expect(third.verifySvid(leaf)).toMatchObject({ valid: true });
    await expect(third.rotation.retire(false)).rejects.toThrow("may live until");
    await third.rotation.retire(true);
    expect(third.bundle.roots).toEqual([root.certificate]);
    await expect(openAuthority({ keyStore, trustDomain, clock })).rejects.toThrow("was given to the config-server");
    await expect((await open(middle, { keyStore, clock })).rotation.prepare()).rejects.toThrow("holds no root's key");
  });
});

describe("a signing function", () => {
  const setUp = async () => {
    const middle = await testCa({ name: "middle", issuer: await testCa({ name: "root" }) });
    const clock = realNow();
    let answer = async (tbs: Uint8Array): Promise<Uint8Array> =>
      signWith("sha256", tbs, { key: middle.privateKey, dsaEncoding: "der" });
    const authority = await open(middle, {
      clock,
      // The key stays where it is: nothing but this function is given.
      certificateAuthority: { certificateChain: middle.chain, sign: (tbs) => answer(tbs), signTimeoutMs: 2_000 },
    });
    const issue = () => authority.issueSvid({ publicKey: spki(), spiffeId });
    return { authority, clock, issue, middle, become: (next: typeof answer) => (answer = next) };
  };

  test("signs in place of a key, without the key ever being given", async () => {
    const { authority, issue } = await setUp();
    const { chain } = await issue();
    expect(authority.verifySvid(new X509Certificate(chain))).toMatchObject({ valid: true, spiffeId });
  });

  test("that does not answer in time fails the request, and a late answer changes nothing", async () => {
    const { clock, issue, become } = await setUp();
    const { promise, resolve } = Promise.withResolvers<Uint8Array>();
    const asked = Promise.withResolvers<void>();
    become(() => {
      asked.resolve();
      return promise;
    });
    const issued = issue();
    await asked.promise;
    clock.advance(2_000);
    await expect(issued).rejects.toMatchObject({
      name: "SigningFailed",
      code: "SIGNING_FAILED",
      message: expect.stringContaining("did not answer within 2000 ms"),
    });
    resolve(new Uint8Array(70));
    expect(clock.pendingTimers).toBe(0);
  });

  test("that throws, or signs with another key or nonsense, fails the request with the reason; the next one may work", async () => {
    const { issue, become, middle } = await setUp();
    const good = (tbs: Uint8Array) => signWith("sha256", tbs, { key: middle.privateKey, dsaEncoding: "der" as const });
    become(() => {
      throw new Error("AccessDenied");
    });
    await expect(issue()).rejects.toThrow("the CA's signing function failed: AccessDenied");
    const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
    become(async (tbs) => signWith("sha256", tbs, other));
    await expect(issue()).rejects.toThrow("that its certificate does not verify");
    become(async () => new Uint8Array());
    await expect(issue()).rejects.toThrow("that its certificate does not verify");
    become(async (tbs) => good(tbs));
    await expect(issue()).resolves.toBeDefined();
  });
});
