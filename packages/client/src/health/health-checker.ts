import type { EffectiveHealthCheck } from "@tulle/policy";
import type { Clock, Random, Timer } from "@tulle/time";
import type { EndpointFigures } from "../endpoints/endpoint-figures.ts";
import { uneject } from "../endpoints/outlier-ejection.ts";
import { noteReached } from "../endpoints/probation.ts";
import type { CheckSlots } from "./check-slots.ts";
import { beginChecks, type CheckResult, endChecks, type HealthRecord, noteCheck } from "./health-record.ts";

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
  /** Times that checks changed what calls see of an endpoint. */
  healthChanges: number;
}

/** What checks may say of an endpoint. */
export type CheckedHealth = "pending" | "healthy" | "degraded" | "unhealthy";

/** A check has changed what calls see of an endpoint. */
export interface HealthChange {
  readonly endpoint: string;
  /** `pending`: this was its first check. */
  readonly from: CheckedHealth;
  readonly to: CheckedHealth;
}

/** Something that is checked: an endpoint at its address. `pool` is its identity. */
export interface CheckTarget<P extends object> {
  readonly endpoint: { readonly id: string };
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
  /** Hears of each change. */
  readonly onChange?: ((change: HealthChange) => void) | undefined;
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
      this.#begin(checked);
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

  /** The first check of an endpoint, or by a policy, which may be pushed to many clients at the same time. */
  #begin(checked: Checked<P>): void {
    const initialJitterMs = this.#order?.policy.initialJitterMs ?? 0;
    if (initialJitterMs === 0) this.#enter(checked);
    else this.#wait(checked, initialJitterMs * this.#kit.random());
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
    const from = checkedHealth(health);
    if (noteCheck(health, order.policy, result)) this.#tell(checked.target, from);
    if (passed) noteReached(reach);
    if (passed && health.state === "healthy" && order.unejects) uneject(outlier);
    const rests = checked.callsSeen === this.#calls;
    if (rests) this.#resting.add(checked);
    const last = { passed, pending: health.contrary > 0 };
    this.#wait(checked, nextCheckMs(order.policy, last, rests, this.#kit.random));
  }

  #tell({ endpoint, figures }: CheckTarget<P>, from: CheckedHealth): void {
    const to = checkedHealth(figures.health);
    // Who was degraded when it turned unhealthy is not degraded more or less by what it says then.
    if (from === to) return;
    this.#kit.counters.healthChanges++;
    this.#kit.onChange?.({ endpoint: endpoint.id, from, to });
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

const checkedHealth = ({ state, degraded }: HealthRecord): CheckedHealth => {
  if (state === "unchecked") return "pending";
  return state === "healthy" && degraded ? "degraded" : state;
};

/**
 * How long until the next check, by how the last one ended (Envoy).
 *
 * @param last `pending`: it was contrary to the endpoint's state, and more such ones are needed to change that.
 */
export const nextCheckMs = (
  policy: EffectiveHealthCheck,
  last: { readonly passed: boolean; readonly pending: boolean },
  nobodyCalls: boolean,
  random: Random,
): number => {
  const intervalMs = nobodyCalls ? policy.noTrafficIntervalMs : intervalAfter(policy, last);
  const byPercent = intervalMs * (policy.intervalJitterPercent / 100) * random();
  return intervalMs + byPercent + (policy.intervalJitterMs === 0 ? 0 : policy.intervalJitterMs * random());
};

const intervalAfter = (
  policy: EffectiveHealthCheck,
  { passed, pending }: { readonly passed: boolean; readonly pending: boolean },
): number => {
  if (passed) return pending ? policy.healthyEdgeIntervalMs : policy.intervalMs;
  return pending ? policy.unhealthyEdgeIntervalMs : policy.unhealthyIntervalMs;
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
