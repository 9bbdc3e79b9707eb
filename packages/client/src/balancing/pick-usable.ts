import { DEFAULT_OVERPROVISIONING_PERCENT } from "@tulle/policy";
import type { Random } from "@tulle/time";
import { type EndpointState, isFailing, stateOf } from "../endpoints/endpoint-state.ts";
import { type Hash64, unitOfLow } from "../hashing/xxh64.ts";
import type { Balanced, Picker } from "./picker.ts";

/** How much load healthy endpoints can bear beyond their share. */
const OVERPROVISIONING = DEFAULT_OVERPROVISIONING_PERCENT / 100;

/**
 * The balancer's pick; where that is ejected, unhealthy or cannot be reached, its pick among those that can be called. The
 * balancer is told whom to avoid instead of being given a shorter list: its turns and tables belong to the whole one.
 *
 * Where so many are ejected or unhealthy that less than `panicPercent` of those that can be reached are left, neither counts:
 * the few that are left would not bear the load of all (Envoy's panic). Endpoints that cannot be reached are avoided even then,
 * for calls to them relieve nobody.
 *
 * Degraded endpoints get what the healthy ones cannot bear: nothing while these, at 140 % of their share, are enough for
 * the whole.
 *
 * @param tried endpoints of the call's earlier attempts: the last resort.
 * @param random decides between healthy and degraded endpoints where there is no key.
 */
export const pickUsable = <C extends Balanced>(
  picker: Picker,
  candidates: readonly C[],
  tried: ReadonlySet<string> | undefined,
  nowMs: number,
  panicPercent: number,
  random: Random,
  key?: Hash64,
): C | undefined => {
  if (picker.pickUsable !== undefined) return picker.pickUsable(candidates, tried, nowMs, panicPercent, key);
  const picked = picker.pick(candidates, tried, nowMs, key);
  if (picked === undefined) return undefined;
  const pickedState = stateOf(picked, nowMs);
  if (isWell(pickedState)) return picked;
  const { well, degraded, failing, unreachable } = sortOut(candidates, nowMs);
  const panics = isPanic(candidates.length - unreachable.length, failing.length, panicPercent);
  // To pick anew would cost those that are picked anew for their turns: round robin would leave out every second one.
  if (panics && pickedState !== "unreachable") return picked;
  const avoided = new Set(tried);
  for (const id of unreachable) avoided.add(id);
  if (!panics) for (const id of failing) avoided.add(id);
  const preferred = new Set(avoided);
  if (!panics && degraded.length > 0) {
    const chance = key === undefined ? random() : unitOfLow(key);
    const toDegraded = chance < degradedShare(candidates.length, well.length, degraded.length);
    if (toDegraded && pickedState === "degraded") return picked;
    for (const id of toDegraded ? well : degraded) preferred.add(id);
  }
  return (
    pickOutside(preferred, picker, candidates, nowMs, key) ??
    pickOutside(avoided, picker, candidates, nowMs, key) ??
    picked
  );
};

/** Whether so few of the endpoints that can be reached are left that ejections and health count no more. A threshold of 0 turns panic off. */
export const isPanic = (reachable: number, failing: number, panicPercent: number): boolean =>
  (reachable - failing) * 100 < panicPercent * reachable;

/**
 * Of the picks that did not fall on a healthy endpoint, the share that goes to degraded ones, so that healthy ones get what
 * they can bear of all picks (Envoy's healthy and degraded load). Assumes that picks fall on all endpoints alike.
 */
export const degradedShare = (all: number, healthy: number, degraded: number): number => {
  if (healthy === 0) return 1;
  const healthyLoad = Math.min(1, (OVERPROVISIONING * healthy) / all);
  const degradedLoad = Math.min(1 - healthyLoad, (OVERPROVISIONING * degraded) / all);
  const elsewhere = (all - healthy) / all;
  return Math.min(1, degradedLoad / (healthyLoad + degradedLoad) / elsewhere);
};

/** The balancer's pick among those that are not avoided; `undefined` where nobody is left. */
const pickOutside = <C extends Balanced>(
  avoided: ReadonlySet<string>,
  picker: Picker,
  candidates: readonly C[],
  nowMs: number,
  key: Hash64 | undefined,
): C | undefined =>
  candidates.some(({ endpoint }) => !avoided.has(endpoint.id))
    ? picker.pick(candidates, avoided, nowMs, key)
    : undefined;

/** The ids of the endpoints by what calls should make of their state. */
const sortOut = (candidates: readonly Balanced[], nowMs: number) => {
  const groups = {
    well: [] as string[],
    degraded: [] as string[],
    failing: [] as string[],
    unreachable: [] as string[],
  };
  for (const candidate of candidates) {
    const state = stateOf(candidate, nowMs);
    const { id } = candidate.endpoint;
    if (isWell(state)) groups.well.push(id);
    else if (state === "degraded" || state === "unreachable") groups[state].push(id);
    else if (isFailing(state)) groups.failing.push(id);
  }
  return groups;
};

const isWell = (state: EndpointState): boolean => state === "healthy" || state === "stale" || state === "draining";
