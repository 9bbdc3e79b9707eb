import { type EventLoopUtilization, performance } from "node:perf_hooks";
import type { Clock, Timer } from "@tulle/time";
import { LoadAtFlight } from "./load-at-flight.ts";

/** How often rates and the event loop are looked at. */
export const SAMPLE_MS = 1_000;

/** Rates are over so many samples. */
const SAMPLES = 10;

/** Samples without anybody asking after which nothing is measured any more. */
const IDLE_SAMPLES = 60;

/** Share of the time that the event loop was busy since the last question, 0 to 1. */
export type Utilization = () => number;

/** Reads Node's own measure. */
export const eventLoopUtilization = (): Utilization => {
  let last: EventLoopUtilization = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  };
};

/**
 * What a member tells verified callers that ask how busy it is, as an ORCA load report. Visits in flight are always counted;
 * all else is measured only while somebody asks, by one timer aside that ends a minute after the last question.
 */
export class LoadReports {
  readonly #clock: Clock;
  readonly #utilizationOf: () => Utilization;
  #utilization: Utilization | undefined;
  #latencies: LoadAtFlight | undefined;
  #timer: Timer | undefined;
  #inFlight = 0;
  #answers = 0;
  #errors = 0;
  /** Answers and errors of the last samples. */
  #rates: { readonly answers: number; readonly errors: number }[] = [];
  #lastSampleMs = 0;
  #idle = 0;
  /** Of the last sample; empty before the first. */
  #sampled = "";

  constructor(clock: Clock, utilizationOf: () => Utilization = eventLoopUtilization) {
    this.#clock = clock;
    this.#utilizationOf = utilizationOf;
  }

  /** A visit came in. @returns how many others it found in flight. */
  enter(): number {
    return this.#inFlight++;
  }

  /** A visit is over, whatever became of it. */
  leave(): void {
    this.#inFlight--;
  }

  /** A visit is answered. @param found what `enter` returned for it. */
  answered(found: number, tookMs: number, status: number): void {
    if (this.#latencies === undefined) return;
    this.#latencies.note(found, tookMs, this.#clock.now());
    this.#answers++;
    if (status >= 500) this.#errors++;
  }

  /** The report of this moment, as the value of `endpoint-load-metrics`. Being asked is what starts the measuring. */
  report(): string {
    this.#idle = 0;
    if (this.#latencies === undefined) this.#begin();
    const latencyMs = this.#latencies?.medianMs(this.#inFlight, this.#clock.now());
    const latency = latencyMs === undefined ? "" : `,named_metrics.latency_ms=${rounded(latencyMs)}`;
    return `TEXT named_metrics.rif=${this.#inFlight}${latency}${this.#sampled}`;
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#latencies = undefined;
    this.#sampled = "";
  }

  #begin(): void {
    this.#latencies = new LoadAtFlight();
    this.#utilization = this.#utilizationOf();
    this.#rates = [];
    this.#answers = 0;
    this.#errors = 0;
    this.#lastSampleMs = this.#clock.now();
    this.#sampleLater();
  }

  #sampleLater(): void {
    this.#timer = this.#clock.after(SAMPLE_MS, () => {
      this.#idle++;
      if (this.#idle > IDLE_SAMPLES) {
        this.close();
        return;
      }
      this.#sample();
      this.#sampleLater();
    });
  }

  #sample(): void {
    const nowMs = this.#clock.now();
    const elapsedS = Math.max(1, nowMs - this.#lastSampleMs) / 1_000;
    this.#lastSampleMs = nowMs;
    this.#rates.push({ answers: this.#answers / elapsedS, errors: this.#errors / elapsedS });
    if (this.#rates.length > SAMPLES) this.#rates.shift();
    this.#answers = 0;
    this.#errors = 0;
    const count = this.#rates.length;
    const rps = this.#rates.reduce((sum, { answers }) => sum + answers, 0) / count;
    const eps = this.#rates.reduce((sum, { errors }) => sum + errors, 0) / count;
    const utilization = this.#utilization?.() ?? 0;
    this.#sampled = `,application_utilization=${rounded(utilization)},rps_fractional=${rounded(rps)},eps=${rounded(eps)}`;
  }
}

/** Three digits after the point are finer than any of these figures. */
const rounded = (value: number): string => String(Math.round(value * 1_000) / 1_000);
