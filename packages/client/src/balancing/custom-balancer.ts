import type { Random } from "@tulle/time";
import type { Hash64 } from "../hashing/xxh64.ts";
import type { FiguresKeeper } from "./figures-keeper.ts";
import { KeepingPicker } from "./keeping-picker.ts";
import { inFlightLoad, type LoadMeasure } from "./load-measure.ts";
import type { Balanced, Outcome } from "./picker.ts";
import { RandomChoice } from "./random-choice.ts";
import { withoutTried } from "./tried.ts";
import type { Weights } from "./weights.ts";

/**
 * A balancer of one's own. All that the mesh needs beside the choice, it does by itself: it counts calls in flight and
 * measures latencies before `start` and `end` are told, so `figures` of a candidate are ready to be compared.
 */
export interface CustomBalancer {
  /**
   * Chooses one of the candidates. Synchronous, and asked for each attempt. The list is the same array until something of it
   * changes, so what is costly may be worked out once per list.
   *
   * Where it throws, or what it answers is no candidate, or is a tried one while another is left, chance decides instead.
   *
   * @param tried ids of endpoints that this attempt should not go to while another one is left: those of earlier attempts,
   * and those that are ejected or cannot be reached.
   * @param key what the policy's `hashKey` found in the call.
   */
  pick<C extends Balanced>(
    candidates: readonly C[],
    tried: ReadonlySet<string> | undefined,
    nowMs: number,
    key?: Hash64,
  ): C | undefined;
  /** An attempt was sent, to a candidate that need not be the one that was picked last. */
  start?(candidate: Balanced, nowMs: number): void;
  /** An attempt ended; exactly once after each `start`. */
  end?(candidate: Balanced, nowMs: number, outcome: Outcome): void;
  /** What explanations show of a candidate; lower is better. @default calls in flight by weight */
  load?(candidate: Balanced, nowMs: number): number;
}

/** What a balancer of one's own is made with. */
export interface BalancerKit {
  /** From 0 up to, but not including, 1; seeded in tests. */
  readonly random: Random;
  /** The share of calls that a candidate should get relative to its siblings: its registered weight, less while it starts slowly. Above 0. */
  readonly weightOf: (candidate: Balanced, nowMs: number) => number;
}

/** Makes a balancer of one's own, once for each destination (a service, or a subset of it) that a policy gives it to. */
export type CreateBalancer = (kit: BalancerKit) => CustomBalancer;

/** Balancers of one's own, by the names that policies call them. */
export type CustomBalancers = Readonly<Record<string, CreateBalancer>>;

/** The one of a name. What objects inherit is none, nor is what is no function. */
export const balancerNamed = (balancers: CustomBalancers | undefined, name: string): CreateBalancer | undefined => {
  const create = balancers !== undefined && Object.hasOwn(balancers, name) ? balancers[name] : undefined;
  return typeof create === "function" ? create : undefined;
};

/** What makes a {@link CustomPicker}. */
export interface CustomPickerOptions {
  /** As the policy calls it. */
  readonly name: string;
  readonly create: CreateBalancer;
  readonly weights: Weights;
  readonly keeper: FiguresKeeper;
  readonly random: Random;
  /** Hears what a balancer did that it must not do. */
  readonly onFault?: ((problem: string) => void) | undefined;
}

/**
 * A balancer of a user's own behind the mesh's interface. Foreign code decides on every call, so nothing that it does may
 * fail one: a wrong choice is replaced by chance, and told.
 */
export class CustomPicker extends KeepingPicker {
  readonly name: string;
  readonly #balancer: CustomBalancer;
  readonly #instead: RandomChoice;
  readonly #loadOf: LoadMeasure;
  readonly #onFault: (problem: string) => void;
  #members: { readonly of: readonly Balanced[]; readonly set: ReadonlySet<Balanced> } | undefined;

  constructor({ name, create, weights, keeper, random, onFault }: CustomPickerOptions) {
    super(keeper);
    this.name = `custom:${name}`;
    this.#instead = new RandomChoice({ weights, keeper, random });
    this.#onFault = (problem) => onFault?.(`the balancer "${name}" ${problem}`);
    this.#balancer = create({ random, weightOf: (candidate, nowMs) => weights.of(candidate, nowMs) });
    const ownLoad = inFlightLoad(weights);
    this.#loadOf = (candidate, nowMs) => {
      try {
        return this.#balancer.load?.(candidate, nowMs) ?? ownLoad(candidate, nowMs);
      } catch (error) {
        this.#onFault(`threw in load: ${String(error)}`);
        return ownLoad(candidate, nowMs);
      }
    };
  }

  pick<C extends Balanced>(
    all: readonly C[],
    tried: ReadonlySet<string> | undefined,
    nowMs: number,
    key?: Hash64,
  ): C | undefined {
    if (all.length === 0) return undefined;
    const picked = this.#ask(all, tried, nowMs, key);
    if (picked === undefined) return this.#instead.pick(all, tried, nowMs);
    const mayGo = tried === undefined || !tried.has(picked.endpoint.id) || withoutTried(all, tried) === all;
    return mayGo ? picked : this.#instead.pick(all, tried, nowMs);
  }

  override start(candidate: Balanced, nowMs: number): void {
    super.start(candidate, nowMs);
    try {
      this.#balancer.start?.(candidate, nowMs);
    } catch (error) {
      this.#onFault(`threw in start: ${String(error)}`);
    }
  }

  override end(candidate: Balanced, nowMs: number, outcome: Outcome): void {
    super.end(candidate, nowMs, outcome);
    try {
      this.#balancer.end?.(candidate, nowMs, outcome);
    } catch (error) {
      this.#onFault(`threw in end: ${String(error)}`);
    }
  }

  protected override shownLoad(): LoadMeasure {
    return this.#loadOf;
  }

  #ask<C extends Balanced>(
    all: readonly C[],
    tried: ReadonlySet<string> | undefined,
    nowMs: number,
    key: Hash64 | undefined,
  ): C | undefined {
    try {
      const picked = this.#balancer.pick(all, tried, nowMs, key);
      if (picked !== undefined && this.#membersOf(all).has(picked)) return picked;
      this.#onFault(picked === undefined ? "picked nothing" : "picked what is no candidate");
    } catch (error) {
      this.#onFault(`threw in pick: ${String(error)}`);
    }
    return undefined;
  }

  #membersOf(all: readonly Balanced[]): ReadonlySet<Balanced> {
    if (this.#members?.of !== all) this.#members = { of: all, set: new Set(all) };
    return this.#members.set;
  }
}
