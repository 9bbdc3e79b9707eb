import type { LoadReport } from "@tulle/client/balancing";
import type { Random } from "@tulle/time";
import { LoadAtFlight } from "../../packages/server/src/load-at-flight.ts";
import type { EventQueue } from "./event-queue.ts";

/** How a server behaves at a moment. */
export interface Behaviour {
  /** How many times as long everything takes. 1: as it should. */
  readonly slowness: number;
  /** Answers with an error at once. */
  readonly fails: boolean;
  /** Takes no connection. @default false */
  readonly unreachable?: boolean;
}

/** As a server should be. */
export const WELL: Behaviour = { slowness: 1, fails: false };

/** Requests that a server works on at once; others wait in their order. */
export const SLOTS = 4;

/** What a request takes on the mean where nothing slows it down; exponentially distributed. */
export const MEAN_SERVICE_MS = 20;

/** How long a failing server takes to say so. */
export const FAILURE_MS = 1;

/** The way there and back. */
export const NETWORK_MS = 0.5;

/** How a request ended. */
export type Ending = "answered" | "failed" | "unreachable";

/** How often rates are worked out anew. */
const SAMPLE_MS = 1_000;

/** One server: some slots, a queue before them. */
export class ServerModel {
  behaviour: Behaviour = WELL;
  /** Requests that have come and have not been answered. */
  inFlight = 0;
  /** The most that there ever were. */
  mostInFlight = 0;
  answered = 0;
  readonly #events: EventQueue;
  readonly #random: Random;
  readonly #waiting: (() => void)[] = [];
  readonly #latencies = new LoadAtFlight();
  #busy = 0;
  /** Since when answers, errors and busy time are counted. */
  #countedFromMs = 0;
  #answers = 0;
  #errors = 0;
  #busyMs = 0;
  #rates: Pick<LoadReport, "utilization" | "qps" | "eps"> = {};

  constructor(events: EventQueue, random: Random) {
    this.#events = events;
    this.#random = random;
  }

  /** What it says of itself in each reply, as a member does. */
  #report(): LoadReport {
    const { nowMs } = this.#events;
    const elapsedMs = nowMs - this.#countedFromMs;
    if (elapsedMs >= SAMPLE_MS) {
      this.#rates = {
        utilization: this.#busyMs / (elapsedMs * SLOTS),
        qps: (1_000 * this.#answers) / elapsedMs,
        eps: (1_000 * this.#errors) / elapsedMs,
      };
      this.#countedFromMs = nowMs;
      this.#answers = 0;
      this.#errors = 0;
      this.#busyMs = 0;
    }
    const latencyMs = this.#latencies.medianMs(this.inFlight, nowMs);
    return { ...this.#rates, inFlight: this.inFlight, ...(latencyMs === undefined ? {} : { latencyMs }) };
  }

  /** @param answer hears how it ended, and what the server says of itself in its reply. */
  handle(answer: (ending: Ending, report?: LoadReport) => void): void {
    if (this.behaviour.unreachable === true) {
      this.#events.after(NETWORK_MS, () => answer("unreachable"));
      return;
    }
    const found = this.inFlight;
    const cameAtMs = this.#events.nowMs;
    this.inFlight++;
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight);
    const done = (failed: boolean): void => {
      this.inFlight--;
      this.answered++;
      this.#answers++;
      if (failed) this.#errors++;
      this.#latencies.note(found, this.#events.nowMs - cameAtMs, this.#events.nowMs);
      const report = this.#report();
      this.#events.after(NETWORK_MS / 2, () => answer(failed ? "failed" : "answered", report));
    };
    this.#events.after(NETWORK_MS / 2, () => {
      if (this.behaviour.fails) {
        this.#events.after(FAILURE_MS, () => done(true));
        return;
      }
      const work = (): void => {
        this.#busy++;
        const tookMs = -Math.log(1 - this.#random()) * MEAN_SERVICE_MS * this.behaviour.slowness;
        this.#events.after(tookMs, () => {
          this.#busy--;
          this.#busyMs += tookMs;
          done(false);
          this.#waiting.shift()?.();
        });
      };
      if (this.#busy < SLOTS) work();
      else this.#waiting.push(work);
    });
  }
}
