import { type EndpointState, stateOf } from "../endpoints/endpoint-state.ts";
import type { Hash64 } from "../hashing/xxh64.ts";
import type { Balanced, Picker } from "./picker.ts";

/**
 * The balancer's pick; where that is ejected or cannot be reached, its pick among those that can be called. The balancer is
 * told whom to avoid instead of being given a shorter list: its turns and tables belong to the whole one.
 *
 * Where so many are ejected that less than `panicPercent` of those that can be reached are left, ejections are ignored: the
 * few that are left would not bear the load of all (Envoy's panic). Endpoints that cannot be reached are avoided even then,
 * for calls to them relieve nobody.
 *
 * @param tried endpoints of the call's earlier attempts: the last resort.
 */
export const pickUsable = <C extends Balanced>(
  picker: Picker,
  candidates: readonly C[],
  tried: ReadonlySet<string> | undefined,
  nowMs: number,
  panicPercent: number,
  key?: Hash64,
): C | undefined => {
  if (picker.pickUsable !== undefined) return picker.pickUsable(candidates, tried, nowMs, panicPercent, key);
  const picked = picker.pick(candidates, tried, nowMs, key);
  if (picked === undefined) return undefined;
  const pickedState = stateOf(picked, nowMs);
  if (isUsable(pickedState)) return picked;
  const unreachable: string[] = [];
  const ejected: string[] = [];
  for (const candidate of candidates) {
    const state = stateOf(candidate, nowMs);
    if (state === "unreachable") unreachable.push(candidate.endpoint.id);
    else if (state === "ejected") ejected.push(candidate.endpoint.id);
  }
  const panics = isPanic(candidates.length - unreachable.length, ejected.length, panicPercent);
  // To pick anew would cost those that are picked anew for their turns: round robin would leave out every second one.
  if (panics && pickedState === "ejected") return picked;
  const avoided = new Set(tried);
  for (const id of unreachable) avoided.add(id);
  if (!panics) for (const id of ejected) avoided.add(id);
  const anyLeft = candidates.some(({ endpoint }) => !avoided.has(endpoint.id));
  return anyLeft ? picker.pick(candidates, avoided, nowMs, key) : picked;
};

/** Whether so few of the endpoints that can be reached are left that ejections count no more. A threshold of 0 turns panic off. */
export const isPanic = (reachable: number, ejected: number, panicPercent: number): boolean =>
  (reachable - ejected) * 100 < panicPercent * reachable;

const isUsable = (state: EndpointState): boolean => state !== "ejected" && state !== "unreachable";
