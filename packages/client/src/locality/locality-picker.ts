import { type EffectiveLocality, localityName } from "@tulle/policy";
import type { Random } from "@tulle/time";
import { pickUsable } from "../balancing/pick-usable.ts";
import type { Balanced, CandidateFigures, Outcome, Picker } from "../balancing/picker.ts";
import type { EndpointFigures } from "../endpoints/endpoint-figures.ts";
import { isFailing, stateOf } from "../endpoints/endpoint-state.ts";
import type { Hash64 } from "../hashing/xxh64.ts";
import type { LoadReport } from "../load-reports/load-report.ts";
import type { Place } from "./failover-tiers.ts";
import { countHealthy, type Group, LocalityGroups, NOTHING } from "./locality-groups.ts";
import { compileLocality, type GroupCount, type LocalityStrategy, type Sharing, zoneOf } from "./locality-strategy.ts";

/** What makes a {@link LocalityPicker}. */
export interface LocalityPickerOptions {
  readonly policy: EffectiveLocality;
  readonly place: Place;
  /** Makes the picker of a group: each keeps its own turns and tables. */
  readonly makePicker: () => Picker;
  readonly random: Random;
  /**
   * Every endpoint of the service as the registry tells it, also those that may not be called: they count when a group's
   * health is worked out. The same array until something changes. @default the candidates are all
   */
  readonly registered?: () => readonly Balanced[] | undefined;
  /** Labels that an endpoint must carry to count, where the calls go to a subset. */
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** The instances of the caller's own service, where they are known. The same array until something changes. */
  readonly callers?: () => readonly Balanced[] | undefined;
}

/** Tiers or localities as explanations tell them. */
export interface LocalityDescription {
  readonly mode: EffectiveLocality["mode"];
  /** The caller's own: `region/zone/subzone`; `""` where it is not known. */
  readonly own: string;
  /** Why localities do not matter now; `undefined`: they do. */
  readonly why: string | undefined;
  /** In the order of preference. */
  readonly groups: readonly {
    /** `same zone`, `2 of 3 labels`, or the locality's name. */
    readonly name: string;
    readonly healthy: number;
    readonly total: number;
    /** What it can bear after others were made up for; 0 where localities do not matter now. */
    readonly healthPercent: number;
    /** Its share of the calls; 0 where localities do not matter now. */
    readonly loadPercent: number;
    /** Health does not matter inside. */
    readonly panics: boolean;
  }[];
}

/** How old the count of a group's healthy endpoints may be: long against a pick, short against an ejection. */
export const RECOUNT_MS = 100;

interface Plan {
  readonly candidates: readonly Balanced[];
  readonly registered: readonly Balanced[];
  readonly groups: readonly Group[];
  recountAtMs: number;
  /** Why localities do not matter now. */
  why: string | undefined;
  /** Gets all calls, where one does. */
  only: Group | undefined;
}

/**
 * Chooses first where a call goes, by the policy's tiers, localities or zones and the health of each, then who takes it there,
 * by the service's balancer. Who belongs where is worked out when the endpoints change, who is healthy every
 * {@link RECOUNT_MS}; in between whoever has just failed is passed over as without localities.
 */
export class LocalityPicker implements Picker {
  readonly name: string;
  readonly #options: LocalityPickerOptions;
  readonly #strategy: LocalityStrategy;
  readonly #groups: LocalityGroups;
  /** Of all endpoints: where localities do not matter. */
  readonly #whole: Picker;
  /** Whether the last pick was the whole's: its start follows at once. */
  #byWhole = false;
  /** Calls that the whole began and that have not ended: each picker hears as many ends as starts. */
  readonly #begunByWhole = new WeakMap<EndpointFigures, number>();
  #plan: Plan | undefined;
  #callers: { readonly of: readonly Balanced[]; readonly byZone: ReadonlyMap<string, number> } | undefined;

  constructor(options: LocalityPickerOptions) {
    this.#options = options;
    this.#strategy = compileLocality(options.policy, options.place);
    const { makePicker, labels } = options;
    this.#groups = new LocalityGroups({ groupOf: this.#strategy.groupOf, makePicker, labels });
    this.#whole = makePicker();
    this.name = this.#whole.name;
  }

  pick<C extends Balanced>(
    candidates: readonly C[],
    tried: ReadonlySet<string> | undefined,
    nowMs: number,
    key?: Hash64,
  ): C | undefined {
    return this.pickUsable(candidates, tried, nowMs, 0, key);
  }

  pickUsable<C extends Balanced>(
    candidates: readonly C[],
    tried: ReadonlySet<string> | undefined,
    nowMs: number,
    panicPercent: number,
    key?: Hash64,
  ): C | undefined {
    const plan = this.#planFor(candidates, nowMs, panicPercent);
    this.#byWhole = plan.why !== undefined || !this.#isEnabled();
    if (this.#byWhole) {
      return pickUsable(this.#whole, candidates, tried, nowMs, panicPercent, this.#options.random, key);
    }
    const drawn = plan.only ?? this.#draw(plan, key);
    // A group's members are some of the candidates, and so of their type.
    const picked = this.#pickIn(drawn, tried, nowMs, key) as C | undefined;
    if (picked !== undefined && isGood(picked, drawn, tried, nowMs)) return picked;
    for (const hasShare of [true, false]) {
      for (const group of plan.groups) {
        if (group === drawn || group.load.loadPercent > 0 !== hasShare) continue;
        const other = this.#pickIn(group, tried, nowMs, key) as C | undefined;
        if (other !== undefined && isGood(other, group, tried, nowMs)) return other;
      }
    }
    // Nobody is good: the last resort is what it would be without localities.
    this.#byWhole = true;
    return pickUsable(this.#whole, candidates, tried, nowMs, panicPercent, this.#options.random, key);
  }

  start(candidate: Balanced, nowMs: number): void {
    if (!this.#byWhole) {
      this.#pickerOf(candidate).start(candidate, nowMs);
      return;
    }
    this.#begunByWhole.set(candidate.figures, (this.#begunByWhole.get(candidate.figures) ?? 0) + 1);
    this.#whole.start(candidate, nowMs);
  }

  end(candidate: Balanced, nowMs: number, outcome: Outcome): void {
    const begun = this.#begunByWhole.get(candidate.figures) ?? 0;
    if (begun === 0) {
      this.#pickerOf(candidate).end(candidate, nowMs, outcome);
      return;
    }
    this.#begunByWhole.set(candidate.figures, begun - 1);
    this.#whole.end(candidate, nowMs, outcome);
  }

  get readsReports(): boolean {
    return this.#whole.readsReports === true;
  }

  /** What an endpoint says counts for its group, and for when localities do not matter. */
  report(candidate: Balanced, nowMs: number, report: LoadReport): void {
    this.#groups.pickerOf(candidate.endpoint)?.report?.(candidate, nowMs, report);
    this.#whole.report?.(candidate, nowMs, report);
  }

  explain(candidates: readonly Balanced[], nowMs: number): readonly CandidateFigures[] {
    const plan = this.#plan;
    return plan === undefined || plan.why !== undefined || plan.candidates !== candidates
      ? this.#whole.explain(candidates, nowMs)
      : plan.groups.flatMap(({ picker, members }) => picker.explain(members, nowMs));
  }

  /** The groups as they are now. */
  describe(candidates: readonly Balanced[], nowMs: number, panicPercent: number): LocalityDescription {
    const { why, groups } = this.#planFor(candidates, nowMs, panicPercent);
    return {
      mode: this.#strategy.mode,
      own: localityName(this.#options.place.locality),
      why,
      groups: groups.map(({ name, healthy, total, load }) => ({ name, healthy, total, ...load })),
    };
  }

  /** The pick within a group; where the group panics health is ignored, else it counts however few are left. */
  #pickIn(
    { picker, members, load }: Group,
    tried: ReadonlySet<string> | undefined,
    nowMs: number,
    key: Hash64 | undefined,
  ): Balanced | undefined {
    return pickUsable(picker, members, tried, nowMs, load.panics ? 100 : 0, this.#options.random, key);
  }

  #pickerOf({ endpoint }: Balanced): Picker {
    return this.#groups.pickerOf(endpoint) ?? this.#whole;
  }

  #isEnabled(): boolean {
    const { enabledPercent } = this.#strategy;
    return enabledPercent >= 100 || this.#options.random() * 100 < enabledPercent;
  }

  /** By chance; equal keys go to equal groups while the shares stay, by their last hundredth, as Envoy draws. */
  #draw({ groups }: Plan, key: Hash64 | undefined): Group {
    let point = key === undefined ? this.#options.random() * 100 : hundredth(key);
    let last: Group | undefined;
    for (const group of groups) {
      if (group.load.loadPercent <= 0) continue;
      last = group;
      point -= group.load.loadPercent;
      if (point < 0) return group;
    }
    if (last === undefined) throw new Error("the shares of the localities are not 100 percent");
    return last;
  }

  #planFor(candidates: readonly Balanced[], nowMs: number, panicPercent: number): Plan {
    const registered = this.#options.registered?.() ?? candidates;
    let plan = this.#plan;
    if (plan?.candidates !== candidates || plan.registered !== registered) {
      const groups = this.#groups.group(candidates, registered);
      plan = { candidates, registered, groups, recountAtMs: nowMs, why: undefined, only: undefined };
      this.#plan = plan;
    }
    if (nowMs >= plan.recountAtMs) this.#recount(plan, nowMs, panicPercent);
    return plan;
  }

  #recount(plan: Plan, nowMs: number, panicPercent: number): void {
    plan.recountAtMs = nowMs + RECOUNT_MS;
    for (const group of plan.groups) group.healthy = countHealthy(group.members, nowMs);
    const sharing = this.#share(plan.groups, panicPercent);
    const loads = "loads" in sharing ? sharing.loads : [];
    for (const [place, group] of plan.groups.entries()) group.load = loads[place] ?? NOTHING;
    plan.why = "why" in sharing ? sharing.why : undefined;
    plan.only = plan.groups.find(({ load }) => load.loadPercent >= 100);
  }

  #share(groups: readonly Group[], panicPercent: number): Sharing {
    const { idle } = this.#strategy;
    if (idle !== undefined) return { why: idle };
    if (groups.length === 0) return { why: "there is no endpoint" };
    const counts = groups.map(
      ({ name, locality, healthy, total, members, weight }): GroupCount => ({
        name,
        locality,
        healthy,
        total,
        callable: members.length,
        weight,
      }),
    );
    return this.#strategy.share(counts, panicPercent, this.#callersByZone());
  }

  #callersByZone(): ReadonlyMap<string, number> | undefined {
    const callers = this.#options.callers?.();
    if (callers === undefined) return undefined;
    if (this.#callers?.of === callers) return this.#callers.byZone;
    const byZone = new Map<string, number>();
    for (const { endpoint } of callers) {
      const zone = zoneOf(endpoint.locality);
      byZone.set(zone, (byZone.get(zone) ?? 0) + 1);
    }
    this.#callers = { of: callers, byZone };
    return byZone;
  }
}

/** Whether no other group needs to be asked. */
const isGood = (picked: Balanced, group: Group, tried: ReadonlySet<string> | undefined, nowMs: number): boolean => {
  if (tried?.has(picked.endpoint.id) === true) return false;
  const state = stateOf(picked, nowMs);
  return isFailing(state) ? group.load.panics : state !== "unreachable";
};

/** A hash modulo 100, which has nothing to do with its place on a ring. */
const hundredth = ({ high, low }: Hash64): number => ((high >>> 0) * (2 ** 32 % 100) + (low >>> 0)) % 100;
