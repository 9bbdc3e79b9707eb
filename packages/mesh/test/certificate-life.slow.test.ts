import { X509Certificate } from "node:crypto";
import { FakeClock, seededRandom } from "@tulle/testing";
import { expect, test } from "vitest";
// biome-ignore lint/style/noRestrictedImports: the simulation runs both ends without the sockets between them.
import { ConnectFailure } from "../../agent/src/connect-failure.ts";
// biome-ignore lint/style/noRestrictedImports: the simulation runs both ends without the sockets between them.
import { CredentialKeeper } from "../../agent/src/credentials.ts";
// biome-ignore lint/style/noRestrictedImports: the simulation runs both ends without the sockets between them.
import { reconnectDelayMs } from "../../agent/src/reconnect.ts";
// biome-ignore lint/style/noRestrictedImports: the simulation runs both ends without the sockets between them.
import { memoryKeyStore } from "../../config-server/src/authority/key-store.ts";
// biome-ignore lint/style/noRestrictedImports: the simulation runs both ends without the sockets between them.
import { openAuthority } from "../../config-server/src/authority/open-authority.ts";

const HOUR = 3_600_000;
const MINUTE = 60_000;
const MEMBERS = 1_000;
const SPAN = 48 * HOUR;

/** Renewals are counted in windows of this length; the figure below is of the fullest one. */
const WINDOW = 30 * MINUTE;

/** How far time moves before requests that are under way are answered. */
const STEP = 5_000;

const spiffeId = "spiffe://cluster.local/ns/default/sa/reviews";

interface Outage {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Lives of 24 h, as everywhere by default. The longest outage is a second shorter than half of one. */
const outages: readonly Outage[] = [
  { fromMs: 6 * HOUR, toMs: 6 * HOUR + 10_000 },
  { fromMs: 9 * HOUR, toMs: 9.5 * HOUR },
  { fromMs: 14 * HOUR, toMs: 26 * HOUR - 1_000 },
  { fromMs: 40 * HOUR, toMs: 41 * HOUR },
];

/** The root is rotated meanwhile; it retires when no leaf of before can live any more. */
const rotation = { distributeMs: 4 * HOUR, activateMs: 5 * HOUR, retireMs: 29 * HOUR + STEP };

/**
 * The P-256 key of a member's own request. The checks of requests are left out here, for they are no part of the schedule and
 * cost the most; keys, signatures and certificates are real.
 */
const publicKeyIn = (csr: string): Uint8Array => {
  const der = Buffer.from(csr.replace(/-----[^-]+-----/g, ""), "base64");
  const at = der.indexOf(Buffer.from("3059301306072a8648ce3d020106082a8648ce3d030107034200", "hex"));
  return der.subarray(at, at + 91);
};

/** One mesh of production parts: the authority, and the keeper of each member's credentials. No sockets, no waiting. */
const simulate = async () => {
  const clock = new FakeClock(0, Date.UTC(2026, 0, 1));
  const authority = await openAuthority({ keyStore: memoryKeyStore(), trustDomain: "cluster.local", clock });
  const random = seededRandom(48);
  const renewals: number[] = [];
  const expired: string[] = [];
  const underWay = new Set<Promise<unknown>>();
  let asked = false;

  const members = Array.from({ length: MEMBERS }, (_, at) => {
    const own = seededRandom(at);
    const member = { keeper: undefined as unknown as CredentialKeeper, connected: false, random: own };
    member.keeper = new CredentialKeeper({
      clock,
      random: own,
      logger: { info: () => undefined, warn: () => undefined, error: (line) => expired.push(`${at}: ${line}`) },
      store: () => undefined,
      request: (csr) => {
        asked = true;
        if (!member.connected) return Promise.reject(new Error("not connected to the config-server"));
        if (member.keeper.credentials.current !== undefined) renewals.push(clock.now());
        const publicKey = publicKeyIn(csr);
        const issued = authority.issueSvid({ publicKey, spiffeId }).then(({ chain }) => chain);
        underWay.add(issued);
        void issued.finally(() => underWay.delete(issued)).catch(() => undefined);
        return issued;
      },
    });
    return member;
  });
  const connect = (member: (typeof members)[number]): void => {
    member.connected = true;
    // The trust stream comes with the connection.
    member.keeper.trust([authority.bundle]);
    member.keeper.connected(spiffeId, clock.wallNow());
  };
  authority.bundles.subscribe((bundle) => {
    for (const { keeper, connected } of members) if (connected) keeper.trust([bundle]);
  });

  // All of them start in the same second.
  for (const member of members) clock.after(random() * 1_000, () => connect(member));
  for (const { fromMs, toMs } of outages) {
    clock.after(fromMs, () => {
      for (const member of members) {
        member.connected = false;
        member.keeper.disconnected();
      }
    });
    const failure = new ConnectFailure("unreachable", "the config-server is away");
    for (const member of members) {
      // By then each waits for its longest step of the backoff.
      clock.after(toMs + reconnectDelayMs(failure, 20, member.random), () => connect(member));
    }
  }
  const steps: [number, () => Promise<unknown>][] = [
    [rotation.distributeMs, async () => [await authority.rotation.prepare(), await authority.rotation.distribute()]],
    [rotation.activateMs, () => authority.rotation.activate()],
    [rotation.retireMs, () => authority.rotation.retire(false)],
  ];

  const roots: number[] = [];
  while (clock.now() < SPAN) {
    clock.advance(STEP);
    while (asked || underWay.size > 0) {
      asked = false;
      await Promise.allSettled(underWay);
      await new Promise((resolve) => setImmediate(resolve));
    }
    if (steps[0] !== undefined && clock.now() >= steps[0][0]) {
      await steps.shift()?.[1]();
      roots.push(authority.bundle.roots.length);
    }
    // The keeper says so by itself at the very moment; this looks whether it would.
    if (clock.now() % WINDOW === 0)
      for (const [at, { keeper }] of members.entries()) if (!keeper.valid) expired.push(`${at} at ${clock.now()}`);
  }
  for (const { keeper } of members) keeper.close();
  return { authority, members, renewals, expired, roots };
};

test("1,000 members over 48 hours: none ever holds an expired certificate, through outages and a rotation, and renewals are spread", async () => {
  const { authority, members, renewals, expired, roots } = await simulate();
  expect(expired).toEqual([]);

  const windows = new Array<number>(SPAN / WINDOW).fill(0);
  for (const atMs of renewals) windows[Math.floor(atMs / WINDOW)] = (windows[Math.floor(atMs / WINDOW)] ?? 0) + 1;
  const mean = renewals.length / windows.length;
  expect(Math.max(...windows)).toBeLessThanOrEqual(3 * mean);
  // Each life is renewed before its half, and not much more often than needed.
  expect(renewals.length / MEMBERS).toBeGreaterThan(3);
  expect(renewals.length / MEMBERS).toBeLessThan(6);

  expect(roots).toEqual([2, 2, 1]);
  const root = new X509Certificate(authority.bundle.roots[0] ?? "");
  for (const { keeper } of members) {
    const leaf = new X509Certificate(keeper.credentials.current?.certificateChain ?? "");
    expect(leaf.verify(root.publicKey)).toBe(true);
  }
}, 120_000);
