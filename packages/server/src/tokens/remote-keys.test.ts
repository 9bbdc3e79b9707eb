import { createTestIssuer, FakeClock } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import {
  type FetchKeys,
  FRESH_FOR_MS,
  KeyCounters,
  type KeyStorage,
  RemoteKeys,
  STALE_FOR_MS,
  UNKNOWN_KEY_INTERVAL_MS,
} from "./remote-keys.ts";

const URI = "https://issuer.test/keys";
const first = createTestIssuer({ kid: "first" }).jwks;
const second = createTestIssuer({ kid: "second" }).jwks;

/** An issuer that answers when the test says so. */
class Origin {
  readonly asked: {
    readonly uri: string;
    readonly signal: AbortSignal;
    answer(text: string): void;
    fail(reason: string): void;
  }[] = [];
  /** Answers at once from now on. */
  always: (() => string) | undefined;

  readonly fetch: FetchKeys = (uri, { signal }) =>
    new Promise((resolve, reject) => {
      this.asked.push({ uri, signal, answer: resolve, fail: (reason) => reject(new Error(reason)) });
      try {
        if (this.always !== undefined) resolve(this.always());
      } catch (error) {
        reject(error);
      }
    });
}

const memory = (): KeyStorage & { readonly texts: Map<string, string> } => {
  const texts = new Map<string, string>();
  return {
    texts,
    read: async (uri) => texts.get(uri),
    write: async (uri, text) => void texts.set(uri, text),
  };
};

const start = (
  options: {
    readonly storage?: KeyStorage;
    readonly clock?: FakeClock;
    readonly always?: () => string;
    readonly discovers?: string;
  } = {},
) => {
  const clock = options.clock ?? new FakeClock();
  const origin = new Origin();
  origin.always = options.always;
  const counters = new KeyCounters();
  const notices: string[] = [];
  const keys = new RemoteKeys(
    { uri: URI, discovers: options.discovers, timeoutMs: 5_000 },
    {
      clock,
      random: () => 0,
      fetch: origin.fetch,
      storage: options.storage,
      counters,
      onNotice: (text) => notices.push(text),
    },
  );
  return { clock, origin, counters, notices, keys };
};

const namesOf = (keys: RemoteKeys): readonly (string | undefined)[] | undefined =>
  keys.current()?.keys.map(({ kid }) => kid);

describe("keys of an address", () => {
  test("are fetched when the policy comes, once for all who wait", async () => {
    const { clock, origin, keys } = start();
    const waiting = [keys.arrival(), keys.arrival(), keys.arrival()];
    await clock.advanceAsync(0);
    expect(origin.asked).toHaveLength(1);
    origin.asked[0]?.answer(first);
    const [one, two, three] = await Promise.all(waiting);
    expect(one?.keys.map(({ kid }) => kid)).toEqual(["first"]);
    expect([two, three]).toEqual([one, one]);
  });

  test("are fetched anew while they are fresh, and are the same set where nothing changed", async () => {
    const { clock, origin, keys } = start({ always: () => first });
    await clock.advanceAsync(0);
    const before = keys.current();
    await clock.advanceAsync(FRESH_FOR_MS);
    expect(origin.asked).toHaveLength(2);
    expect(keys.current()).toBe(before);
    origin.always = () => second;
    await clock.advanceAsync(FRESH_FOR_MS);
    expect(namesOf(keys)).toEqual(["second"]);
  });

  test.each([
    [
      "cannot be reached",
      () => {
        throw new Error("ECONNREFUSED");
      },
    ],
    ["answers garbage", () => "<html>"],
    ["answers JSON that is no key set", () => '{"error":"nope"}'],
    ["answers no key that could check a token", () => '{"keys":[{"kty":"oct","k":"AAAA"}]}'],
    ["answers too many keys", () => JSON.stringify({ keys: Array.from({ length: 257 }, () => ({ kty: "RSA" })) })],
    ["answers too much", () => `{"keys":[${" ".repeat(262_144)}]}`],
  ])("are told at once to be missing when the issuer %s", async (_name, always) => {
    const { clock, origin, keys, counters, notices } = start({ always });
    await clock.advanceAsync(0);
    expect(await keys.arrival()).toBeUndefined();
    expect(await keys.arrival()).toBeUndefined();
    expect(origin.asked).toHaveLength(1);
    expect(counters.failures).toBe(1);
    expect(notices).toEqual([expect.stringContaining("cannot be fetched")]);
  });

  test("that do not come in time are missing, and the fetch is ended", async () => {
    const { clock, origin, keys } = start();
    const waiting = keys.arrival();
    await clock.advanceAsync(4_999);
    expect(origin.asked[0]?.signal.aborted).toBe(false);
    await clock.advanceAsync(1);
    expect(await waiting).toBeUndefined();
    expect(origin.asked[0]?.signal.aborted).toBe(true);
  });

  test("are asked for again after 1 s, then ever later, up to a minute", async () => {
    const { clock, origin } = start({
      always: () => {
        throw new Error("down");
      },
    });
    const at: number[] = [];
    let seen = 0;
    for (let second = 0; second < 200; second++) {
      await clock.advanceAsync(second === 0 ? 0 : 1_000);
      if (origin.asked.length > seen) at.push(second);
      seen = origin.asked.length;
    }
    expect(at).toEqual([0, 1, 3, 7, 15, 31, 63, 123, 183]);
  });

  test("are used while the issuer fails, for a day beyond their time and no longer; the log hears of both ends", async () => {
    const { clock, origin, keys, counters, notices } = start({ always: () => first });
    await clock.advanceAsync(0);
    origin.always = () => {
      throw new Error("down");
    };
    await clock.advanceAsync(FRESH_FOR_MS + STALE_FOR_MS - 1);
    expect(namesOf(keys)).toEqual(["first"]);
    expect(counters.staleUses).toBe(1);
    await clock.advanceAsync(1);
    expect(keys.current()).toBeUndefined();
    expect(await keys.arrival()).toBeUndefined();
    origin.always = () => second;
    await clock.advanceAsync(60_000);
    expect(namesOf(keys)).toEqual(["second"]);
    expect(notices).toEqual([
      expect.stringContaining("those of before are used for at most 24 h"),
      expect.stringContaining("can be fetched again"),
    ]);
  });

  test("are fetched at once for a token that names an unknown one, but not again within 10 s", async () => {
    const { clock, origin, keys, counters } = start({ always: () => first });
    await clock.advanceAsync(0);
    origin.always = () => second;
    expect((await keys.renewed())?.keys[0]?.kid).toBe("second");
    for (let at = 0; at < 100; at++) await keys.renewed();
    expect(origin.asked).toHaveLength(2);
    expect(counters.limited).toBe(100);
    await clock.advanceAsync(UNKNOWN_KEY_INTERVAL_MS);
    await keys.renewed();
    expect(origin.asked).toHaveLength(3);
  });

  test("keep no more than 1,000 waiting", async () => {
    const { clock, origin, keys, counters } = start();
    const waiting = Array.from({ length: 1_000 }, () => keys.arrival());
    expect(await keys.arrival()).toBeUndefined();
    expect(counters.turnedAway).toBe(1);
    await clock.advanceAsync(0);
    origin.asked[0]?.answer(first);
    expect((await Promise.all(waiting)).every((each) => each !== undefined)).toBe(true);
  });

  test("are asked for no more after the end, and whoever waits is told", async () => {
    const { clock, origin, keys, notices } = start();
    const waiting = keys.arrival();
    await clock.advanceAsync(0);
    keys.close();
    expect(await waiting).toBeUndefined();
    expect(origin.asked[0]?.signal.aborted).toBe(true);
    expect(clock.pendingTimers).toBe(0);
    expect(notices).toEqual([]);
  });
});

describe("a copy that outlives the process", () => {
  const written = async (
    ageMs: number,
  ): Promise<{ readonly storage: KeyStorage & { readonly texts: Map<string, string> }; readonly clock: FakeClock }> => {
    const storage = memory();
    const before = start({ storage, always: () => first });
    await before.clock.advanceAsync(0);
    before.keys.close();
    return { storage, clock: new FakeClock(0, before.clock.wallNow() + ageMs) };
  };

  test("is used at once, also while the issuer cannot be reached", async () => {
    const { storage, clock } = await written(STALE_FOR_MS);
    const { keys } = start({ storage, clock });
    expect((await keys.arrival())?.keys[0]?.kid).toBe("first");
  });

  test.each([
    ["is too old", (text: string) => text, FRESH_FOR_MS + STALE_FOR_MS],
    ["is from the future", (text: string) => text, -1],
    ["is of another address", (text: string) => text.replace(URI, "https://other.test/keys"), 0],
    ["is broken", (text: string) => text.slice(1), 0],
    ["holds no keys", () => JSON.stringify({ uri: URI, fetchedAtMs: 1_700_000_000_000, jwks: "{}" }), 0],
  ])("is not used when it %s", async (_name, change, ageMs) => {
    const { storage, clock } = await written(ageMs);
    storage.texts.set(URI, change(storage.texts.get(URI) ?? ""));
    const { keys } = start({
      storage,
      clock,
      always: () => {
        throw new Error("down");
      },
    });
    await clock.advanceAsync(0);
    expect(keys.current()).toBeUndefined();
  });

  test("that cannot be read or written does no harm", async () => {
    const storage: KeyStorage = {
      read: () => Promise.reject(new Error("EIO")),
      write: () => Promise.reject(new Error("ENOSPC")),
    };
    const { clock, keys, counters } = start({ storage, always: () => first });
    await clock.advanceAsync(0);
    expect(namesOf(keys)).toEqual(["first"]);
    expect(counters).toMatchObject({ storageFailures: 2, failures: 0 });
  });
});

describe("an issuer that tells where its keys are", () => {
  const issuer = "https://issuer.test";
  const told = (more: Readonly<Record<string, unknown>> = {}): string =>
    JSON.stringify({ issuer, jwks_uri: "https://keys.test/1", ...more });

  test("is asked, and then the address that it names", async () => {
    const { clock, origin, keys } = start({ discovers: issuer });
    await clock.advanceAsync(0);
    origin.asked[0]?.answer(told());
    await clock.advanceAsync(0);
    origin.asked[1]?.answer(first);
    await clock.advanceAsync(0);
    expect(origin.asked.map(({ uri }) => uri)).toEqual([URI, "https://keys.test/1"]);
    expect(namesOf(keys)).toEqual(["first"]);
  });

  test("has one time limit for both answers", async () => {
    const { clock, origin, keys } = start({ discovers: issuer });
    const waiting = keys.arrival();
    await clock.advanceAsync(4_000);
    origin.asked[0]?.answer(told());
    await clock.advanceAsync(1_000);
    expect(await waiting).toBeUndefined();
    expect(origin.asked[1]?.signal.aborted).toBe(true);
  });

  test.each([
    ["another issuer's configuration", told({ issuer: "https://other.test" })],
    ["an address that is less protected", told({ jwks_uri: "http://keys.test/1" })],
    ["an address of a file", told({ jwks_uri: "file:///etc/passwd" })],
    ["no address", told({ jwks_uri: undefined })],
    ["no configuration", "<html>"],
  ])("is not believed with %s", async (_name, answer) => {
    const { clock, origin, counters } = start({ discovers: issuer, always: () => answer });
    await clock.advanceAsync(0);
    expect(counters.failures).toBe(1);
    expect(origin.asked).toHaveLength(1);
  });
});
