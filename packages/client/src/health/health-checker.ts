import type { EffectiveHealthCheck } from "@tulle/policy";
import type { Clock, Random, Timer } from "@tulle/time";
import type { EndpointFigures } from "../endpoints/endpoint-figures.ts";
import { uneject } from "../endpoints/outlier-ejection.ts";
import { noteReached } from "../endpoints/probation.ts";
import type { CheckSlots } from "./check-slots.ts";
import { beginChecks, type CheckResult, endChecks, noteCheck } from "./health-record.ts";

/** What health checks have counted. */
export interface HealthCheckCounters {
  /** Health checks that were begun. */
  healthChecks: number;
  /** Of those, the ones that came to a result. */
  healthChecksEnded: number;
  /** Of those, the ones that did not pass. */
  healthCheckFailures: number;
  /** Health checks that had to wait because as many as may be were under way. */
  healthCheckWaits: number;
}

/** Something that is checked: an endpoint at its address. `pool` is its identity. */
export interface CheckTarget<P extends object> {
  readonly figures: EndpointFigures;
  readonly pool: P;
}

/** Asks an endpoint once. Never rejects; ends soon after `signal` is aborted. */
export type Probe<P> = (pool: P, policy: EffectiveHealthCheck, signal: AbortSignal) => Promise<CheckResult>;

/** What a checker is made of. */
export interface HealthCheckerKit<P> {
  readonly clock: Clock;
  readonly random: Random;
  readonly counters: HealthCheckCounters;
  /** Shared by the whole process. */
  readonly slots: CheckSlots;
  readonly probe: Probe<P>;
  /** Runs what outlives calls outside of their context. */
  readonly detached: (work: () => void) => void;
}

/** How a service's endpoints are checked. */
export interface CheckOrder {
  readonly policy: EffectiveHealthCheck;
  /** Whether a passed check ends an ejection. */
  readonly unejects: boolean;
}

/**
 * Checks the endpoints of one service, each by itself: there is one for all routes and subsets. While nobody calls the
 * service checks are rare; the first call after a rest has every endpoint checked within an interval.
 */
export class HealthChecker<P extends object> {
  readonly #kit: HealthCheckerKit<P>;
  readonly #checked = new Map<P, Checked<P>>();
  #order: CheckOrder | undefined;
  #written = "";
  /** Calls since the checker was made. */
  #calls = 0;
  /** Those that wait for the long interval. */
  readonly #resting = new Set<Checked<P>>();

  constructor(kit: HealthCheckerKit<P>) {
    this.#kit = kit;
  }

  /** Takes the endpoints that may be called, and how they are checked; `undefined`: not at all. */
  update(order: CheckOrder | undefined, targets: readonly CheckTarget<P>[]): void {
    const written = writtenForm(order);
    const changed = written !== this.#written;
    this.#order = order;
    this.#written = written;
    const present = new Set(order === undefined ? [] : targets.map(({ pool }) => pool));
    for (const [pool, checked] of this.#checked) {
      if (present.has(pool)) continue;
      this.#checked.delete(pool);
      this.#stop(checked);
      endChecks(checked.target.figures.health);
    }
    if (order === undefined) return;
    for (const target of targets) {
      const known = this.#checked.get(target.pool);
      const checked: Checked<P> = known ?? { target, timer: undefined, leave: undefined, callsSeen: 0 };
      this.#checked.set(target.pool, checked);
      const anew = checked.target.figures !== target.figures;
      checked.target = target;
      beginChecks(target.figures.health);
      if (known !== undefined && !changed && !anew) continue;
      this.#stop(checked);
      this.#enter(checked);
    }
  }

  /** Somebody calls the service. */
  noteCall(): void {
    this.#calls++;
    if (this.#resting.size > 0) this.#wake();
  }

  /** Ends every check, and all timers. */
  close(): void {
    this.update(undefined, []);
  }

  #wake(): void {
    const intervalMs = this.#order?.policy.intervalMs ?? 0;
    for (const checked of [...this.#resting]) {
      this.#stop(checked);
      // Spread over the interval, so that one call does not make a burst of checks.
      this.#wait(checked, intervalMs * this.#kit.random());
    }
  }

  #wait(checked: Checked<P>, delayMs: number): void {
    this.#kit.detached(() => {
      checked.timer = this.#kit.clock.after(delayMs, () => {
        checked.timer = undefined;
        this.#resting.delete(checked);
        this.#enter(checked);
      });
    });
  }

  #enter(checked: Checked<P>): void {
    const { slots, counters, detached } = this.#kit;
    const abort = new AbortController();
    let timer: Timer | undefined;
    let leaveSlot: (() => void) | undefined;
    const leave = (): void => {
      timer?.cancel();
      abort.abort();
      leaveSlot?.();
    };
    const end = (result: CheckResult): void => {
      // One that was stopped, or that took too long, says nothing any more.
      if (checked.leave !== leave) return;
      this.#stop(checked);
      this.#take(checked, result);
    };
    const begin = (): void => {
      const order = this.#order;
      if (order === undefined) return;
      const { clock, probe } = this.#kit;
      counters.healthChecks++;
      checked.callsSeen = this.#calls;
      timer = clock.after(order.policy.timeoutMs, () => end("failed"));
      void probe(checked.target.pool, order.policy, abort.signal).then(end);
    };
    checked.leave = leave;
    if (slots.full) counters.healthCheckWaits++;
    leaveSlot = slots.enter(() => detached(begin));
  }

  #take(checked: Checked<P>, result: CheckResult): void {
    const order = this.#order;
    if (order === undefined) return;
    const { health, outlier, reach } = checked.target.figures;
    const passed = result === "passed" || result === "degraded";
    this.#kit.counters.healthChecksEnded++;
    if (!passed) this.#kit.counters.healthCheckFailures++;
    noteCheck(health, order.policy, result);
    if (passed) noteReached(reach);
    if (passed && health.state === "healthy" && order.unejects) uneject(outlier);
    const rests = checked.callsSeen === this.#calls;
    if (rests) this.#resting.add(checked);
    this.#wait(checked, nextCheckMs(order.policy, health.state === "unhealthy", rests, this.#kit.random));
  }

  #stop(checked: Checked<P>): void {
    this.#resting.delete(checked);
    checked.timer?.cancel();
    checked.timer = undefined;
    const { leave } = checked;
    checked.leave = undefined;
    leave?.();
  }
}

/** How long until the next check. */
export const nextCheckMs = (
  policy: EffectiveHealthCheck,
  unhealthy: boolean,
  nobodyCalls: boolean,
  random: Random,
): number => {
  const called = unhealthy ? policy.unhealthyIntervalMs : policy.intervalMs;
  const intervalMs = nobodyCalls ? policy.noTrafficIntervalMs : called;
  return intervalMs * (1 + (policy.intervalJitterPercent / 100) * random());
};

interface Checked<P extends object> {
  target: CheckTarget<P>;
  /** Set while it waits for its next check. */
  timer: Timer | undefined;
  /** Set while a check is under way or waits for a slot: ends it. */
  leave: (() => void) | undefined;
  /** Calls to the service before its last check. */
  callsSeen: number;
}

/** To tell whether a policy changed. Sets would be written as nothing. */
const writtenForm = (order: CheckOrder | undefined): string =>
  JSON.stringify(order, (_, value: unknown) => (value instanceof Set ? [...value] : value)) ?? "";
