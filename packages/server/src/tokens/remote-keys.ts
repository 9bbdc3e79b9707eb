import type { RemoteJwks } from "@tulle/policy";
import type { Clock, Random, Timer } from "@tulle/time";
import type { IssuerKeys } from "./issuer-keys.ts";
import { type KeySet, MAX_KEY_SET_BYTES, readKeySet } from "./key-set.ts";

/** Fetches an address by GET, without following redirects. @throws when the status is not 200 or the body is longer than `maxBytes`. */
export type FetchKeys = (
  uri: string,
  options: { readonly signal: AbortSignal; readonly maxBytes: number },
) => Promise<string>;

/** A place for copies that outlive the process. What it throws is counted and does no harm. */
export interface KeyStorage {
  read(uri: string): Promise<string | undefined>;
  write(uri: string, text: string): Promise<void>;
}

/** Keys are fetched anew after this time (Envoy's 10 minutes; istiod waits 20), up to a tenth earlier so that members spread. */
export const FRESH_FOR_MS = 600_000;

/** How long keys are used while the issuer cannot be reached. Then its tokens are refused. */
export const STALE_FOR_MS = 86_400_000;

/** Waits between fetches that fail: from 1 s (Envoy), doubled up to a minute. */
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 60_000;

/** At most one fetch in this time because of tokens that name unknown keys: anybody can invent such names. */
export const UNKNOWN_KEY_INTERVAL_MS = 10_000;

/** Visits that may wait for the keys of one address at once; others are told at once that there are none. */
export const MAX_WAITING = 1_000;

/** Plain integers about all keys that are fetched. */
export class KeyCounters {
  fetches = 0;
  failures = 0;
  /** Fetches because of unknown key ids that the rate limit refused. */
  limited = 0;
  /** Visits that found too many others waiting. */
  turnedAway = 0;
  /** Times that keys were used beyond their fresh time. */
  staleUses = 0;
  storageFailures = 0;
}

/** What fetching needs. */
export interface RemoteKeysKit {
  readonly clock: Clock;
  readonly random: Random;
  readonly fetch: FetchKeys;
  readonly storage: KeyStorage | undefined;
  readonly counters: KeyCounters;
  /** Hears once when keys cannot be fetched and once when they can again. */
  readonly onNotice: (text: string) => void;
}

/** The form of a stored copy. */
interface StoredCopy {
  readonly uri: string;
  readonly fetchedAtMs: number;
  readonly jwks: string;
}

/**
 * The keys that an issuer publishes at one address: fetched when the policy arrives and again before they are old, one fetch
 * at a time, kept while the issuer fails, and with a copy that outlives the process where there is a place for one.
 */
export class RemoteKeys implements IssuerKeys {
  /** How long one fetch may take. */
  timeoutMs: number;
  readonly #uri: string;
  readonly #discovers: string | undefined;
  readonly #kit: RemoteKeysKit;
  readonly #ended = new AbortController();
  #keys: KeySet | undefined;
  #text: string | undefined;
  #freshUntilMs = 0;
  #staleUntilMs = 0;
  #fetching: Promise<void> | undefined;
  #restored: Promise<void>;
  #timer: Timer | undefined;
  #failures = 0;
  #mayFetchAtMs = 0;
  #unknownKeyAtMs = Number.NEGATIVE_INFINITY;
  #waiting = 0;

  constructor({ uri, discovers, timeoutMs }: RemoteJwks, kit: RemoteKeysKit) {
    this.#uri = uri;
    this.#discovers = discovers;
    this.timeoutMs = timeoutMs;
    this.#kit = kit;
    this.#restored = this.#restore();
    void this.#restored.then(() => {
      if (!this.#ended.signal.aborted) void this.#fetch();
    });
  }

  current(): KeySet | undefined {
    if (this.#keys === undefined) return undefined;
    const now = this.#kit.clock.now();
    if (now < this.#freshUntilMs) return this.#keys;
    if (now >= this.#staleUntilMs) return undefined;
    this.#kit.counters.staleUses++;
    return this.#keys;
  }

  async arrival(): Promise<KeySet | undefined> {
    if (this.#waiting >= MAX_WAITING) {
      this.#kit.counters.turnedAway++;
      return undefined;
    }
    this.#waiting++;
    try {
      await this.#restored;
      const found = this.current();
      if (found !== undefined) return found;
      // While a failure is recent the answer would be the same, and every visit would wait for it.
      if (this.#fetching === undefined && this.#kit.clock.now() < this.#mayFetchAtMs) return undefined;
      await this.#fetch();
      return this.current();
    } finally {
      this.#waiting--;
    }
  }

  async renewed(): Promise<KeySet | undefined> {
    const { clock, counters } = this.#kit;
    if (this.#fetching === undefined) {
      const now = clock.now();
      if (now - this.#unknownKeyAtMs < UNKNOWN_KEY_INTERVAL_MS || now < this.#mayFetchAtMs) {
        counters.limited++;
        return this.current();
      }
      this.#unknownKeyAtMs = now;
    }
    if (this.#waiting >= MAX_WAITING) {
      counters.turnedAway++;
      return this.current();
    }
    this.#waiting++;
    try {
      await this.#fetch();
      return this.current();
    } finally {
      this.#waiting--;
    }
  }

  /** Ends a fetch under way and asks for nothing more. Whoever waits is told what there is. */
  close(): void {
    this.#timer?.cancel();
    this.#ended.abort();
  }

  #fetch(): Promise<void> {
    if (this.#ended.signal.aborted) return Promise.resolve();
    this.#fetching ??= this.#fetchOnce().finally(() => {
      this.#fetching = undefined;
    });
    return this.#fetching;
  }

  async #fetchOnce(): Promise<void> {
    const { clock, counters, onNotice } = this.#kit;
    counters.fetches++;
    this.#timer?.cancel();
    try {
      const text = await this.#fetchText();
      const keys = text === this.#text && this.#keys !== undefined ? this.#keys : readKeySet(text);
      if (this.#failures > 0) onNotice(`the keys at ${this.#uri} can be fetched again`);
      this.#failures = 0;
      this.#mayFetchAtMs = 0;
      this.#take(keys, text, 0);
      this.#again(FRESH_FOR_MS * (1 - this.#kit.random() / 10));
      await this.#store(text);
    } catch (error) {
      if (this.#ended.signal.aborted) return;
      counters.failures++;
      this.#failures++;
      if (this.#failures === 1) {
        onNotice(
          `the keys at ${this.#uri} cannot be fetched (${error instanceof Error ? error.message : String(error)}); ${
            this.#keys === undefined
              ? "tokens of its issuer are refused until they can"
              : `those of before are used for at most ${STALE_FOR_MS / 3_600_000} h`
          }`,
        );
      }
      const waitMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** (this.#failures - 1));
      this.#mayFetchAtMs = clock.now() + waitMs;
      this.#again(waitMs);
    }
  }

  /** Ends by itself at the time limit and at close, whatever the fetcher does. */
  async #fetchText(): Promise<string> {
    const { clock, fetch } = this.#kit;
    const limit = new AbortController();
    const timer = clock.after(this.timeoutMs, () => limit.abort(new Error(`no answer within ${this.timeoutMs} ms`)));
    const signal = AbortSignal.any([limit.signal, this.#ended.signal]);
    try {
      const aborted = new Promise<never>((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      });
      const get = (uri: string): Promise<string> =>
        Promise.race([fetch(uri, { signal, maxBytes: MAX_KEY_SET_BYTES }), aborted]);
      const told = await get(this.#uri);
      return this.#discovers === undefined ? told : await get(discoveredAddress(told, this.#discovers));
    } finally {
      timer.cancel();
    }
  }

  #again(delayMs: number): void {
    this.#timer = this.#kit.clock.after(delayMs, () => void this.#fetch());
  }

  #take(keys: KeySet, text: string, ageMs: number): void {
    const now = this.#kit.clock.now();
    this.#keys = keys;
    this.#text = text;
    this.#freshUntilMs = now - ageMs + FRESH_FOR_MS;
    this.#staleUntilMs = now - ageMs + FRESH_FOR_MS + STALE_FOR_MS;
  }

  async #restore(): Promise<void> {
    const { storage, clock, counters } = this.#kit;
    if (storage === undefined) return;
    try {
      const text = await storage.read(this.#uri);
      if (text === undefined || this.#keys !== undefined) return;
      const copy = readCopy(text);
      // A copy from the future is of a clock that was wrong: its age is not known.
      const ageMs = clock.wallNow() - (copy?.fetchedAtMs ?? Number.NaN);
      if (copy?.uri !== this.#uri || !(ageMs >= 0 && ageMs < FRESH_FOR_MS + STALE_FOR_MS)) return;
      this.#take(readKeySet(copy.jwks), copy.jwks, ageMs);
    } catch {
      counters.storageFailures++;
    }
  }

  async #store(jwks: string): Promise<void> {
    const { storage, clock, counters } = this.#kit;
    const copy: StoredCopy = { uri: this.#uri, fetchedAtMs: clock.wallNow(), jwks };
    try {
      await storage?.write(this.#uri, JSON.stringify(copy));
    } catch {
      counters.storageFailures++;
    }
  }
}

/**
 * The address of keys in an issuer's OpenID configuration. It must be of the issuer that was asked, and no less protected than
 * that was.
 *
 * @throws Error for anything else.
 */
const discoveredAddress = (text: string, issuer: string): string => {
  const told: unknown = JSON.parse(text);
  if (typeof told !== "object" || told === null) throw new Error("the issuer's configuration is no JSON object");
  // An object of unknown shape is read by name, and each field is looked at.
  const { issuer: named, jwks_uri: uri } = told as Readonly<Record<string, unknown>>;
  if (named !== issuer) throw new Error("the issuer's configuration is of another issuer");
  const address = typeof uri === "string" && URL.canParse(uri) ? new URL(uri) : undefined;
  const schemes = issuer.toLowerCase().startsWith("https:") ? ["https:"] : ["http:", "https:"];
  if (address === undefined || !schemes.includes(address.protocol)) {
    throw new Error("the issuer's configuration names no address of keys that may be used");
  }
  return address.href;
};

const readCopy = (text: string): StoredCopy | undefined => {
  const copy: unknown = JSON.parse(text);
  if (typeof copy !== "object" || copy === null) return undefined;
  // An object of unknown shape is read by name, and each field is looked at.
  const { uri, fetchedAtMs, jwks } = copy as Readonly<Record<string, unknown>>;
  return typeof uri === "string" && typeof fetchedAtMs === "number" && typeof jwks === "string"
    ? { uri, fetchedAtMs, jwks }
    : undefined;
};
