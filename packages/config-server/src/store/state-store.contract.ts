import { FakeClock } from "@tulle/testing";
import type { Clock } from "@tulle/time";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MAX_COMMIT_BYTES, MAX_COMMIT_OPERATIONS, type StateStore, type StoreEvent } from "./state-store.ts";

/** What every engine of the state store must do. */
export const stateStoreContract = (engine: string, open: (clock: Clock) => StateStore): void => {
  describe(`${engine} as a state store`, () => {
    let clock: FakeClock;
    let store: StateStore;

    beforeEach(() => {
      clock = new FakeClock();
      store = open(clock);
    });
    afterEach(() => store.close());

    const put = (key: string, value: string) => store.commit([], [{ key, value }]);

    it("answers what was written, with a version that counts up across keys", async () => {
      await put("a", "1");
      await put("b", "2");
      await put("a", "3");
      const [a, b] = await Promise.all([store.get("a"), store.get("b")]);
      expect(a).toMatchObject({ key: "a", value: "3" });
      expect(b).toMatchObject({ key: "b", value: "2" });
      expect(b!.version).toBeGreaterThan(0);
      expect(a!.version).toBeGreaterThan(b!.version);
      expect(await store.get("c")).toBeUndefined();
    });

    it("keeps the empty value apart from a missing one", async () => {
      await put("a", "");
      expect(await store.get("a")).toMatchObject({ value: "" });
    });

    it("lists what begins with a prefix in the order of the keys, and nothing beside it", async () => {
      for (const key of ["p/b", "p/a~", "p/a", "p", "q/a", "p/a/x", "o/z"]) await put(key, key);
      expect((await store.list("p/")).map(({ key }) => key)).toEqual(["p/a", "p/a/x", "p/a~", "p/b"]);
      expect((await store.list("")).length).toBe(7);
      expect(await store.list("none")).toEqual([]);
    });

    it("deletes, and deleting what is missing is no error and no event", async () => {
      const events: StoreEvent[] = [];
      await put("a", "1");
      store.watch("", (event) => events.push(event));
      expect(await store.commit([], [{ key: "a", value: null }])).toBe(true);
      expect(await store.commit([], [{ key: "a", value: null }])).toBe(true);
      expect(await store.get("a")).toBeUndefined();
      expect(await store.list("")).toEqual([]);
      expect(events).toEqual([{ key: "a", entry: undefined }]);
    });

    it("commits only when every check holds, and then all of it", async () => {
      await put("a", "1");
      const { version } = (await store.get("a"))!;
      const writes = [
        { key: "a", value: "2" },
        { key: "b", value: "2" },
      ];
      expect(await store.commit([{ key: "a", version: version + 1 }], writes)).toBe(false);
      expect(await store.commit([{ key: "a", version: 0 }], writes)).toBe(false);
      const checks = [
        { key: "a", version },
        { key: "b", version: 7 },
      ];
      expect(await store.commit(checks, writes)).toBe(false);
      expect((await store.list("")).map(({ key, value }) => [key, value])).toEqual([["a", "1"]]);
      const good = [
        { key: "a", version },
        { key: "b", version: 0 },
      ];
      expect(await store.commit(good, writes)).toBe(true);
      expect((await store.list("")).map(({ value }) => value)).toEqual(["2", "2"]);
    });

    it("lets one of many writers of the same version win", async () => {
      await put("a", "0");
      const { version } = (await store.get("a"))!;
      const results = await Promise.all(
        Array.from({ length: 8 }, (_, n) => store.commit([{ key: "a", version }], [{ key: "a", value: `${n}` }])),
      );
      expect(results.filter(Boolean)).toHaveLength(1);
    });

    it("takes a key that was deleted for missing, and gives it a later version when it comes again", async () => {
      await put("a", "1");
      const before = (await store.get("a"))!.version;
      await store.commit([], [{ key: "a", value: null }]);
      expect(await store.commit([{ key: "a", version: 0 }], [{ key: "a", value: "2" }])).toBe(true);
      expect((await store.get("a"))!.version).toBeGreaterThan(before);
    });

    it("refuses a commit above the limits, whole", async () => {
      const many = Array.from({ length: MAX_COMMIT_OPERATIONS + 1 }, (_, n) => ({ key: `k${n}`, value: "" }));
      await expect(store.commit([], many)).rejects.toMatchObject({ code: "commit-too-large" });
      const half = "x".repeat(MAX_COMMIT_BYTES / 2);
      const large = [
        { key: "a", value: half },
        { key: "b", value: `${half}x` },
      ];
      await expect(store.commit([], large)).rejects.toMatchObject({ code: "commit-too-large" });
      expect(await store.commit([], many.slice(1))).toBe(true);
      expect(await store.get("a")).toBeUndefined();
    });

    it.each([
      ["empty", ""],
      ["too long", "k".repeat(513)],
      ["with a space", "a b"],
      ["with a letter beyond ASCII", "naïve"],
      ["with a line break", "a\nb"],
    ])("refuses a key that is %s", async (_, key) => {
      await expect(put(key, "1")).rejects.toMatchObject({ code: "bad-key" });
      await expect(store.get(key)).rejects.toMatchObject({ code: "bad-key" });
    });

    it("refuses a commit that writes a key twice", async () => {
      const writes = [
        { key: "a", value: "1" },
        { key: "a", value: "2" },
      ];
      await expect(store.commit([], writes)).rejects.toMatchObject({ code: "bad-key" });
    });

    it("tells watchers of every later change below their prefix, in commit order, until they stop", async () => {
      await put("p/old", "0");
      const events: string[] = [];
      const stop = store.watch("p/", ({ key, entry }) => events.push(`${key}=${entry?.value}`));
      await put("p/b", "1");
      await put("q/a", "1");
      const writes = [
        { key: "p/b", value: null },
        { key: "p/a", value: "2" },
      ];
      await store.commit([], writes);
      stop();
      await put("p/c", "3");
      expect(events).toEqual(["p/b=1", "p/b=undefined", "p/a=2"]);
    });

    it("tells of what a listener writes after what the listener was told of", async () => {
      const seen: string[] = [];
      const writing: Promise<boolean>[] = [];
      store.watch("a", ({ entry }) => {
        if (entry?.value === "1") writing.push(put("a", "2"));
      });
      store.watch("a", ({ entry }) => seen.push(entry?.value ?? "gone"));
      await put("a", "1");
      await Promise.all(writing);
      expect(seen).toEqual(["1", "2"]);
    });

    it("leases a key to one holder at a time", async () => {
      const first = await store.lease("l", "one", 1_000);
      expect(first).toBeDefined();
      expect(await store.lease("l", "two", 1_000)).toBeUndefined();
      expect(await store.get("l")).toMatchObject({ value: "one" });
      await first!.release();
      expect(await store.get("l")).toBeUndefined();
      expect(await store.lease("l", "two", 1_000)).toBeDefined();
      expect(await first!.renew()).toBe(false);
      await first!.release();
      expect(await store.get("l")).toMatchObject({ value: "two" });
    });

    it("ends a lease that is not renewed, and tells watchers", async () => {
      const events: string[] = [];
      store.watch("l", ({ entry }) => events.push(entry?.value ?? "gone"));
      const lease = await store.lease("l", "one", 1_000);
      clock.advance(900);
      expect(await lease!.renew()).toBe(true);
      clock.advance(900);
      expect(await store.get("l")).toMatchObject({ value: "one" });
      clock.advance(1_000);
      expect(events).toEqual(["one", "gone"]);
      expect(await store.get("l")).toBeUndefined();
      expect(await lease!.renew()).toBe(false);
    });

    it("gives a lease up to whoever writes the key", async () => {
      const lease = await store.lease("l", "one", 1_000);
      await put("l", "mine");
      expect(await lease!.renew()).toBe(false);
      clock.advance(5_000);
      expect(await store.get("l")).toMatchObject({ value: "mine" });
    });

    it("answers `closed` after it was closed, and leaves no timer behind", async () => {
      store.watch("", () => undefined);
      const lease = await store.lease("l", "one", 1_000);
      await store.close();
      await store.close();
      expect(clock.pendingTimers).toBe(0);
      await expect(store.get("a")).rejects.toMatchObject({ code: "closed" });
      await expect(store.list("a")).rejects.toMatchObject({ code: "closed" });
      await expect(put("a", "1")).rejects.toMatchObject({ code: "closed" });
      expect(await lease!.renew()).toBe(false);
    });
  });
};
