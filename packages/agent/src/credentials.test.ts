import "reflect-metadata";
import { createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import { Pkcs10CertificateRequest } from "@peculiar/x509";
import { createTestAuthority, FakeClock, type TestAuthority } from "@tulle/testing";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { CredentialKeeper, type StoredCertificate } from "./credentials.ts";

const spiffeId = "spiffe://cluster.local/ns/default/sa/reviews";
const HOUR = 3_600_000;

let authority: TestAuthority;
let clock: FakeClock;
let logged: string[];
let requests: string[];
let stored: { readonly certificate?: StoredCertificate; readonly pendingKey?: string }[];
/** What becomes of the next requests: a refusal's text, or a certificate. */
let refusal: string | undefined;
let issuedFor: string;

const keyOf = (csr: string): Uint8Array => new Uint8Array(new Pkcs10CertificateRequest(csr).publicKey.rawData);

const keeper = (lifetimeMs: number): CredentialKeeper =>
  new CredentialKeeper({
    clock,
    random: () => 0.5,
    logger: {
      info: (line) => logged.push(line),
      warn: (line) => logged.push(`warn: ${line}`),
      error: (line) => logged.push(`error: ${line}`),
    },
    request: async (csr) => {
      requests.push(csr);
      if (refusal !== undefined) throw new Error(refusal);
      const notBeforeMs = clock.wallNow();
      const options = { spiffeId: issuedFor, publicKey: keyOf(csr), lifetimeMs, notBeforeMs };
      return (await authority.issue(options)).certificateChain;
    },
    store: (kept) => stored.push(kept),
  });

const renewed = (keeping: CredentialKeeper, times: number): Promise<void> =>
  expect.poll(() => keeping.counters.renewals).toBe(times) as unknown as Promise<void>;

beforeAll(async () => {
  authority = await createTestAuthority();
});

beforeEach(() => {
  clock = new FakeClock(0, Math.floor(Date.now() / 1_000) * 1_000);
  logged = [];
  requests = [];
  stored = [];
  refusal = undefined;
  issuedFor = spiffeId;
});

describe("credentials", () => {
  test("come when both certificate and bundles are there, and the key is the member's own", async () => {
    const keeping = keeper(HOUR);
    keeping.connected(spiffeId, clock.wallNow());
    await renewed(keeping, 1);
    expect(keeping.credentials.current).toBeUndefined();
    keeping.trust([authority.bundle]);
    const credentials = keeping.credentials.current!;
    expect(credentials).toMatchObject({ generation: 1, spiffeId, notAfterMs: clock.wallNow() + HOUR });
    const key = createPublicKey(createPrivateKey(credentials.privateKey));
    expect(new X509Certificate(credentials.certificateChain).publicKey.equals(key)).toBe(true);
  });

  test("are renewed before half life with a new key: the first time anywhere in it, then close to it", async () => {
    const keeping = keeper(HOUR);
    keeping.trust([authority.bundle]);
    keeping.connected(spiffeId, clock.wallNow());
    await renewed(keeping, 1);
    const first = keeping.credentials.current!;
    // The dice of these tests always say the middle.
    clock.advance((HOUR / 2) * (0.98 - 0.9 / 2) - 1);
    expect(requests).toHaveLength(1);
    clock.advance(1);
    await renewed(keeping, 2);
    expect(keeping.credentials.current).toMatchObject({ generation: 2 });
    expect(keeping.credentials.current?.privateKey).not.toBe(first.privateKey);
    clock.advance((HOUR / 2) * (0.98 - 0.1 / 2) - 1);
    expect(requests).toHaveLength(2);
    clock.advance(2);
    await renewed(keeping, 3);
  });

  test("are renewed when the config-server asks, at once or at random within a time that does not delay their own turn", async () => {
    const keeping = keeper(HOUR);
    keeping.connected(spiffeId, clock.wallNow());
    await renewed(keeping, 1);
    keeping.renewWithin(0);
    await renewed(keeping, 2);
    keeping.renewWithin(600_000);
    clock.advance(299_999);
    expect(requests).toHaveLength(2);
    clock.advance(1);
    await renewed(keeping, 3);
    keeping.renewWithin(24 * HOUR);
    clock.advance(HOUR / 2);
    await renewed(keeping, 4);
  });

  test("whose turn fell into an outage are renewed after it in the order of their turns", async () => {
    const keeping = keeper(HOUR);
    keeping.trust([authority.bundle]);
    keeping.connected(spiffeId, clock.wallNow());
    await renewed(keeping, 1);
    const dueMs = (HOUR / 2) * (0.98 - 0.9 / 2);
    clock.advance(dueMs - 60_000);
    keeping.disconnected();
    refusal = "not connected";
    await clock.advanceAsync(600_000);
    refusal = undefined;
    keeping.connected(spiffeId, clock.wallNow());
    const asked = requests.length;
    // It was due a minute after the loss, so it follows nine tenths of a minute after the return.
    clock.advance(54_000 - 10);
    expect(requests).toHaveLength(asked);
    clock.advance(20);
    await renewed(keeping, 2);
  });

  test.each([6_000, 30 * 24 * HOUR])("a life of %i ms is renewed in time, again and again", async (lifetimeMs) => {
    const keeping = keeper(lifetimeMs);
    keeping.trust([authority.bundle]);
    keeping.connected(spiffeId, clock.wallNow());
    for (let times = 1; times <= 4; times++) {
      await renewed(keeping, times);
      clock.advance(lifetimeMs / 2);
    }
    await renewed(keeping, 5);
    expect(logged).toEqual([]);
  });

  test("a machine that slept past half life renews at the next look at the clock", async () => {
    const keeping = keeper(24 * HOUR);
    keeping.connected(spiffeId, clock.wallNow());
    await renewed(keeping, 1);
    clock.jumpWall(13 * HOUR);
    clock.advance(60_000);
    await renewed(keeping, 2);
  });

  test("a refused request is repeated with the same key and said once; warnings come before the end, and at it", async () => {
    const keeping = keeper(HOUR);
    keeping.connected(spiffeId, clock.wallNow());
    await renewed(keeping, 1);
    const endsAt = new Date(clock.wallNow() + HOUR).toISOString();
    refusal = "csr-key: too weak";
    await clock.advanceAsync(HOUR + 1);
    expect(requests.length).toBeGreaterThan(20);
    expect(new Set(requests.slice(1).map((csr) => String(keyOf(csr)))).size).toBe(1);
    const remedy = "; the next one is asked for by itself: see that the config-server can be reached (tulle status)";
    const lines = logged.map((line) => line.replace(/, \d+ requests/, ", n requests"));
    expect(lines).toEqual([
      `warn: no certificate for ${spiffeId}: csr-key: too weak`,
      `warn: less than 25 % of the certificate's life is left, it ends at ${endsAt}, n requests for the next one failed${remedy}`,
      `warn: less than 10 % of the certificate's life is left, it ends at ${endsAt}, n requests for the next one failed${remedy}`,
      `error: the certificate expired at ${endsAt}, n requests for the next one failed${remedy}`,
    ]);
    expect(keeping.valid).toBe(false);
    refusal = undefined;
    clock.advance(60_000);
    await renewed(keeping, 2);
    expect(keeping.valid).toBe(true);
  });

  test("a new key is stored before it is sent, and its certificate takes its place", async () => {
    const keeping = keeper(HOUR);
    keeping.connected(spiffeId, clock.wallNow());
    await renewed(keeping, 1);
    expect(stored).toEqual([
      { pendingKey: expect.stringContaining("PRIVATE KEY") },
      {
        certificate: {
          certificateChain: expect.any(String),
          privateKey: stored[0]!.pendingKey,
          receivedMs: clock.wallNow(),
        },
      },
    ]);
  });

  test("a key that an earlier life left unanswered is asked for again", async () => {
    const earlier = keeper(HOUR);
    refusal = "the connection broke";
    earlier.connected(spiffeId, clock.wallNow());
    await expect.poll(() => earlier.counters.renewalFailures).toBe(1);
    refusal = undefined;
    const later = keeper(HOUR);
    later.restore(undefined, stored[0]!.pendingKey);
    later.connected(spiffeId, clock.wallNow());
    await renewed(later, 1);
    expect(keyOf(requests[1]!)).toEqual(keyOf(requests[0]!));
  });

  test("a kept certificate is used, and renewed soon when half of its life was over", async () => {
    const earlier = keeper(HOUR);
    earlier.connected(spiffeId, clock.wallNow());
    await renewed(earlier, 1);
    earlier.close();
    clock.advance(HOUR * 0.75);
    const later = keeper(HOUR);
    later.trust([authority.bundle]);
    later.restore(stored[1]!.certificate, undefined);
    expect(later.credentials.current).toMatchObject({ generation: 1, spiffeId });
    later.connected(spiffeId, clock.wallNow());
    // Who was not there to see how long the outage was draws from the time since the turn, here 17.1 minutes.
    clock.advance(0.9 * HOUR * 0.285 * 0.5 + 1_000);
    await renewed(later, 1);
  });

  test("a clock that is wrong is named, and times are compared by the server's", async () => {
    const keeping = keeper(HOUR);
    keeping.connected(spiffeId, clock.wallNow() - 600_000);
    expect(logged).toEqual([
      "warn: the clock of this machine is 600 s ahead of the config-server's; certificates may look expired or not yet valid",
    ]);
    expect(keeping.skewMs).toBe(-600_000);
  });

  test("a certificate for another identity or another key is not taken", async () => {
    issuedFor = "spiffe://cluster.local/ns/default/sa/ratings";
    const keeping = keeper(HOUR);
    keeping.connected(spiffeId, clock.wallNow());
    await expect.poll(() => keeping.counters.renewalFailures).toBe(1);
    expect(logged).toEqual([
      `warn: no certificate for ${spiffeId}: the certificate says ${issuedFor} in place of ${spiffeId}`,
    ]);
    const { certificateChain } = await authority.issue({ spiffeId });
    const { privateKey } = await authority.issue({ spiffeId });
    expect(() => keeping.restore({ certificateChain, privateKey, receivedMs: 0 }, undefined)).toThrow(
      "the certificate is for another key",
    );
  });

  test("closing leaves no timer", async () => {
    const keeping = keeper(HOUR);
    keeping.connected(spiffeId, clock.wallNow());
    await renewed(keeping, 1);
    keeping.close();
    expect(clock.pendingTimers).toBe(0);
  });
});
