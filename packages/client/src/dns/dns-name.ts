import type { AsyncResource } from "node:async_hooks";
import type { Clock, Random, Timer } from "@tulle/time";
import { askDns, type DnsAnswer, isNegative } from "./ask-dns.ts";
import type { DnsResolver } from "./dns-resolver.ts";

/** How long a name that does not exist is not asked for again: 5 s. */
export const NEGATIVE_TTL_MS = 5_000;

/** How long after a failure of DNS itself it is asked again: 1 s, then twice as long each time, up to 30 s, ± 25 %. */
export const FAILURE_PAUSE = { firstMs: 1_000, longestMs: 30_000, jitter: 0.25 } as const;

/** How long after its end an answer is used while DNS fails: 1 h. */
export const LAST_GOOD_MS = 3_600_000;

/** How long after its end an answer is used while DNS says that the name does not exist: 1 min. */
export const LAST_GOOD_NEGATIVE_MS = 60_000;

/** A name in use is asked for again when this share of its answer's time is over; up to a tenth earlier by chance. */
export const REFRESH_AT = 0.8;

/** What is counted of DNS. */
export interface DnsCounters {
  /** Questions that were asked. */
  dnsQueries: number;
  /** Questions without an address as answer. */
  dnsFailures: number;
  /** Times that an answer past its end was kept because there was no newer one. */
  dnsLastGoodKept: number;
  /** Calls that waited for an answer. */
  dnsWaits: number;
}

/** What names are asked for with. */
export interface DnsKit {
  readonly resolver: DnsResolver;
  readonly clock: Clock;
  readonly random: Random;
  readonly counters: DnsCounters;
  /** The async context of what outlives the call that caused it. */
  readonly home: AsyncResource;
}

/** Whether calls can use what is known of a name: at once, after waiting for an answer, or not at all. */
export type DnsReadiness = "ready" | "waiting" | "failed";

/**
 * One name that is asked for while it is used. All callers share one question. A name in use is asked for again before its
 * answer ends; one that nobody used since its last answer is left alone, and its next use waits for a new answer. When DNS
 * fails, the last good answer is kept for a stated time.
 */
export class DnsName {
  readonly #names: readonly string[];
  readonly #kit: DnsKit;
  readonly #changed: () => void;
  #answer: DnsAnswer | undefined;
  /** Until when the answer counts. */
  #untilMs = 0;
  #used = false;
  #asking = false;
  /** When the last question was asked. */
  #askedMs = 0;
  #failure: unknown;
  #failures = 0;
  /** No question before this moment. */
  #pausedUntilMs = 0;
  #timer: Timer | undefined;
  #closed = false;

  /** @param names names that mean the same, to be tried in this order. @param changed the addresses, or the hope for any, changed. */
  constructor(names: readonly string[], kit: DnsKit, changed: () => void) {
    this.#names = names;
    this.#kit = kit;
    this.#changed = changed;
  }

  /** None while there is no answer that may be used. */
  get addresses(): readonly string[] {
    return this.#answer?.addresses ?? [];
  }

  /** Why there is no newer answer. */
  get failure(): unknown {
    return this.#failure;
  }

  /** A call wants to go there. */
  use(nowMs: number): DnsReadiness {
    this.#used = true;
    if (nowMs < this.#untilMs) return "ready";
    this.#dropOld(nowMs);
    if (!this.#asking && nowMs >= this.#pausedUntilMs) this.#ask();
    // A name that was left alone does not begin with an old address. One in use goes on with it while a question that was
    // asked in time is slow, or while no newer answer is to be had.
    const goesOn = this.#failures > 0 || this.#askedMs < this.#untilMs;
    if (this.#answer !== undefined && goesOn) return "ready";
    return this.#asking ? "waiting" : "failed";
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #ask(): void {
    const { resolver, clock, counters, home } = this.#kit;
    this.#asking = true;
    this.#askedMs = clock.now();
    this.#used = false;
    this.#timer?.cancel();
    counters.dnsQueries++;
    void home.runInAsyncScope(askDns, undefined, this.#names, resolver, clock).then(
      (answer) => this.#take(answer),
      (failure: unknown) => this.#fail(failure),
    );
  }

  #take(answer: DnsAnswer): void {
    if (this.#closed) return;
    const nowMs = this.#kit.clock.now();
    this.#asking = false;
    this.#failure = undefined;
    this.#failures = 0;
    this.#pausedUntilMs = 0;
    this.#answer = answer;
    this.#untilMs = nowMs + answer.ttlMs;
    this.#later(answer.ttlMs * (REFRESH_AT - 0.1 * this.#kit.random()));
    this.#changed();
  }

  #fail(failure: unknown): void {
    const { clock, random, counters } = this.#kit;
    counters.dnsFailures++;
    if (this.#closed) return;
    const nowMs = clock.now();
    this.#asking = false;
    this.#failure = failure;
    const { firstMs, longestMs, jitter } = FAILURE_PAUSE;
    const pauseMs = isNegative(failure)
      ? NEGATIVE_TTL_MS
      : Math.min(longestMs, firstMs * 2 ** this.#failures) * (1 + jitter * (2 * random() - 1));
    this.#failures++;
    this.#pausedUntilMs = nowMs + pauseMs;
    this.#dropOld(nowMs);
    if (this.#answer !== undefined) {
      counters.dnsLastGoodKept++;
      this.#later(pauseMs);
    }
    this.#changed();
  }

  /** An answer past its end is kept only so long, and only while there is no newer one to be had. */
  #dropOld(nowMs: number): void {
    if (this.#answer === undefined || this.#failures === 0) return;
    const keptMs = isNegative(this.#failure) ? LAST_GOOD_NEGATIVE_MS : LAST_GOOD_MS;
    if (nowMs < this.#untilMs + keptMs) return;
    this.#answer = undefined;
  }

  /** Asks again if the name was used meanwhile; otherwise its next use does. */
  #later(delayMs: number): void {
    const { clock, home } = this.#kit;
    this.#timer?.cancel();
    this.#timer = home.runInAsyncScope(clock.after, clock, delayMs, () => {
      if (this.#used && !this.#asking && !this.#closed) this.#ask();
    });
  }
}
