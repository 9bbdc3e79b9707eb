import { FakeClock } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import { MemoryStore } from "../store/memory-store.ts";
import { openRevocations, TooManyRevocations } from "./revocations.ts";

const DAY_MS = 86_400_000;
const reviews = "spiffe://cluster.local/ns/default/sa/reviews";
const partner = "spiffe://partner.test/ns/default/sa/ratings";

const setUp = async () => {
  const clock = new FakeClock();
  const store = new MemoryStore(clock);
  const open = (limits: { readonly maxEntries?: number } = {}) =>
    openRevocations({ ...limits, store, clock, trustDomain: "cluster.local", longestLeafMs: () => DAY_MS });
  return { clock, store, open, list: await open() };
};

describe("the list of revocations", () => {
  test("knows a certificate however its number is written, and an identity with any certificate", async () => {
    const { list } = await setUp();
    await list.revoke({ serial: "0a:bc:01", reason: "" });
    await list.revoke({ spiffeId: reviews, reason: "" });
    expect(list.refuses({ serial: "ABC01", spiffeId: partner })).toBe(true);
    expect(list.refuses({ serial: "ABC02", spiffeId: partner })).toBe(false);
    expect(list.refuses({ serial: "1", spiffeId: reviews })).toBe(true);
    expect(list.refuses({ spiffeId: reviews })).toBe(true);
    expect(list.pushed.current).toEqual([{ serial: "ABC01" }, { spiffeId: reviews }]);
  });

  test("forgets a certificate when it has ended; an identity stays refused, but members are told no longer", async () => {
    const { clock, list } = await setUp();
    await list.revoke({ serial: "AB", reason: "", untilMs: clock.wallNow() + DAY_MS / 2 });
    await list.revoke({ spiffeId: reviews, reason: "" });
    await list.revoke({ spiffeId: partner, reason: "" });
    await clock.advanceAsync(DAY_MS / 2);
    expect(list.pushed.current).toEqual([{ spiffeId: reviews }, { spiffeId: partner }]);
    expect(list.refuses({ serial: "AB", spiffeId: "x" })).toBe(false);
    await clock.advanceAsync(DAY_MS);
    // How long a partner's certificates live is not ours to know.
    expect(list.pushed.current).toEqual([{ spiffeId: partner }]);
    expect(list.refuses({ spiffeId: reviews })).toBe(true);
  });

  test("is taken back, survives a restart, and is heard of by another replica", async () => {
    const { list, open } = await setUp();
    const replica = await open();
    await list.revoke({ serial: "AB", reason: "lost" });
    expect(replica.refuses({ serial: "AB", spiffeId: "x" })).toBe(true);
    expect((await open()).entries).toMatchObject([{ serial: "AB", reason: "lost" }]);
    expect(await list.restore("ab")).toBe(true);
    expect(await list.restore("ab")).toBe(false);
    expect(replica.refuses({ serial: "AB", spiffeId: "x" })).toBe(false);
    expect((await open()).entries).toEqual([]);
  });

  test("is bounded", async () => {
    const { open } = await setUp();
    const list = await open({ maxEntries: 2 });
    for (const serial of ["1", "2"]) await list.revoke({ serial, reason: "" });
    await expect(list.revoke({ serial: "3", reason: "" })).rejects.toThrow(TooManyRevocations);
    await expect(list.revoke({ serial: "1", reason: "again" })).resolves.toMatchObject({ reason: "again" });
  });
});
