import { describe, expect, it } from "vitest";
import { decideLeases, defaultLeasePolicy, type LeasedInstance } from "./lease.ts";

const present = (id: string): LeasedInstance => ({ id, absentSinceMs: undefined, draining: false });
const absent = (id: string, absentSinceMs = 100_000): LeasedInstance => ({ id, absentSinceMs, draining: false });
const drained = (id: string): LeasedInstance => ({ ...absent(id), draining: true });

const decide = (instances: readonly LeasedInstance[], nowMs = 200_000, recentRemovals = 0) =>
  decideLeases(instances, defaultLeasePolicy, recentRemovals, 0, nowMs);

const range = (count: number, make: (id: string) => LeasedInstance, prefix: string) =>
  Array.from({ length: count }, (_, n) => make(`${prefix}${n}`));

describe("decideLeases", () => {
  it("removes an absent instance when its grace period is over, not before", () => {
    expect(decide([present("a"), absent("b")], 109_999)).toEqual({ remove: [], stale: [] });
    expect(decide([present("a"), absent("b")], 110_000)).toEqual({ remove: ["b"], stale: [] });
  });

  it("removes nothing in the grace period after the server's own start", () => {
    const instances = [present("a"), { ...drained("b"), absentSinceMs: 0 }, absent("c", 0)];
    expect(decide(instances, 29_999)).toEqual({ remove: [], stale: [] });
    expect(decide(instances, 30_000)).toEqual({ remove: ["b", "c"], stale: [] });
  });

  it("lets a service of two lose one, and one of three lose two", () => {
    expect(decide([present("a"), absent("b")]).remove).toEqual(["b"]);
    expect(decide([present("a"), absent("b"), absent("c")]).remove).toEqual(["b", "c"]);
  });

  it("removes up to 30 % at once, and keeps all of more than that as stale", () => {
    expect(decide([...range(7, present, "p"), ...range(3, absent, "a")]).remove).toEqual(["a0", "a1", "a2"]);
    expect(decide([...range(6, present, "p"), ...range(4, absent, "a")])).toEqual({
      remove: [],
      stale: ["a0", "a1", "a2", "a3"],
    });
  });

  it("counts what went within the window, so that a mass cannot go one by one", () => {
    expect(decide([...range(7, present, "p"), absent("a")], 200_000, 2).remove).toEqual(["a"]);
    expect(decide([...range(6, present, "p"), absent("a")], 200_000, 3)).toEqual({ remove: [], stale: ["a"] });
  });

  it("lets stale instances go when others have taken their place", () => {
    expect(decide([...range(10, present, "p"), ...range(4, absent, "a")]).remove).toHaveLength(4);
  });

  it("never removes the last instance of a service for its silence; the one seen last stays", () => {
    expect(decide([absent("a")])).toEqual({ remove: [], stale: ["a"] });
    expect(decide([absent("a", 120_000), absent("b", 110_000)])).toEqual({ remove: ["b"], stale: ["a"] });
  });

  it("believes those that drained: they neither count as a mass nor as the last one", () => {
    expect(decide([drained("a")])).toEqual({ remove: ["a"], stale: [] });
    expect(decide(range(5, drained, "d"))).toEqual({ remove: ["d0", "d1", "d2", "d3", "d4"], stale: [] });
    expect(decide([drained("d"), absent("a")])).toEqual({ remove: ["d"], stale: ["a"] });
  });

  it("has nothing to decide for a service without instances", () => {
    expect(decide([])).toEqual({ remove: [], stale: [] });
  });
});
