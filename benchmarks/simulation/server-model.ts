import type { Random } from "@tulle/time";
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
  #busy = 0;

  constructor(events: EventQueue, random: Random) {
    this.#events = events;
    this.#random = random;
  }

  handle(answer: (ending: Ending) => void): void {
    if (this.behaviour.unreachable === true) {
      this.#events.after(NETWORK_MS, () => answer("unreachable"));
      return;
    }
    this.inFlight++;
    this.mostInFlight = Math.max(this.mostInFlight, this.inFlight);
    const done = (failed: boolean): void => {
      this.inFlight--;
      this.answered++;
      this.#events.after(NETWORK_MS / 2, () => answer(failed ? "failed" : "answered"));
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
          done(false);
          this.#waiting.shift()?.();
        });
      };
      if (this.#busy < SLOTS) work();
      else this.#waiting.push(work);
    });
  }
}
