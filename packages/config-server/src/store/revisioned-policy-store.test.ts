import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PolicyKey, ServicePolicy } from "@tulle/policy";
import { FakeClock, seededRandom } from "@tulle/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { MemoryStore } from "./memory-store.ts";
import type { PolicyChangeSet, PolicyStore } from "./policy-store.ts";
import { openPolicyStore } from "./revisioned-policy-store.ts";
import { openSqliteStore } from "./sqlite-store.ts";
import type { StateStore } from "./state-store.ts";

const service = (name: string, port = 80): ServicePolicy => ({ kind: "Service", name, port });

const put = (...puts: ServicePolicy[]): PolicyChangeSet => ({ puts, deletes: [], author: "ann", message: "because" });

const accept = (): void => undefined;

const keysOf = ({ head }: PolicyStore): PolicyKey[] => [...head.current.policies.keys()];

/** Hands everything to a real store until `mayCommit` says no: then it is as if the process had died. */
const dyingStore = (store: StateStore, mayCommit: (keys: readonly string[]) => boolean): StateStore => ({
  get: (key) => store.get(key),
  list: (prefix) => store.list(prefix),
  watch: (prefix, listener) => store.watch(prefix, listener),
  lease: (key, value, ttlMs) => store.lease(key, value, ttlMs),
  close: () => store.close(),
  commit: async (checks, writes) => {
    if (!mayCommit(writes.map(({ key }) => key))) throw new Error("killed");
    return store.commit(checks, writes);
  },
});

describe("a policy store", () => {
  let clock: FakeClock;
  let state: StateStore;

  beforeEach(() => {
    clock = new FakeClock();
    state = new MemoryStore(clock);
  });
  afterEach(() => state.close());

  it("begins a history of its own, without policies", async () => {
    const store = await openPolicyStore(state, clock);
    expect(store.head.current.revision).toMatch(/^[0-9a-f]{8}\.0$/);
    expect(store.head.current.policies.size).toBe(0);
    expect(await store.history(10)).toEqual([]);
    const other = await openPolicyStore(new MemoryStore(clock), clock);
    expect(other.head.current.revision).not.toBe(store.head.current.revision);
  });

  it("counts up with each change and tells who watches the head", async () => {
    const store = await openPolicyStore(state, clock);
    const [epoch] = store.head.current.revision.split(".");
    const heard: string[] = [];
    store.head.subscribe(({ revision }) => heard.push(revision));
    const first = await store.apply(put(service("b"), service("a")), accept);
    expect(first).toEqual({
      revision: `${epoch}.1`,
      changes: [
        { key: "Service/default/b", change: "created" },
        { key: "Service/default/a", change: "created" },
      ],
      warnings: [],
    });
    await store.apply({ ...put(service("a", 81)), deletes: ["Service/default/b"] }, accept);
    expect(heard).toEqual([`${epoch}.1`, `${epoch}.2`]);
    expect(keysOf(store)).toEqual(["Service/default/a"]);
  });

  it("answers the present revision when nothing would change", async () => {
    const store = await openPolicyStore(state, clock);
    const { revision } = await store.apply(put(service("a")), accept);
    const again = await store.apply(
      { ...put({ ...service("a"), origin: { file: "a.yaml", line: 3 } }), deletes: ["Service/default/none"] },
      accept,
    );
    expect(again).toEqual({ revision, changes: [{ key: "Service/default/a", change: "unchanged" }], warnings: [] });
    expect(await store.history(10)).toHaveLength(1);
  });

  it("writes nothing when the review refuses the result, which it sees whole", async () => {
    const store = await openPolicyStore(state, clock);
    await store.apply(put(service("a")), accept);
    const before = await state.list("");
    const seen: PolicyKey[] = [];
    const refusal = store.apply(put(service("b")), (candidate) => {
      seen.push(...candidate.keys());
      throw new RangeError("no");
    });
    await expect(refusal).rejects.toThrow(new RangeError("no"));
    expect(seen).toEqual(["Service/default/a", "Service/default/b"]);
    expect(await state.list("")).toEqual(before);
  });

  it("tells its history, newest first, and every earlier content", async () => {
    const store = await openPolicyStore(state, clock);
    const first = await store.apply(put(service("a")), accept);
    clock.advance(1_000);
    const second = await store.apply({ ...put(service("a", 81)), author: "bob", message: "port" }, accept);
    expect(await store.history(10)).toEqual([
      {
        revision: second.revision,
        atMs: 1_700_000_001_000,
        author: "bob",
        message: "port",
        changes: [{ key: "Service/default/a", change: "updated" }],
      },
      expect.objectContaining({ revision: first.revision, atMs: 1_700_000_000_000, author: "ann" }),
    ]);
    expect(await store.history(1)).toHaveLength(1);
    const then = await store.at(first.revision);
    expect(then?.policies.get("Service/default/a")).toEqual(service("a"));
    expect(await store.at("1")).toEqual(then);
    expect(await store.at("2")).toBe(store.head.current);
    expect((await store.at("0"))?.policies.size).toBe(0);
    for (const none of ["3", "other.1", "text", ""]) expect(await store.at(none)).toBeUndefined();
  });

  it("keeps what is larger than one commit", async () => {
    const store = await openPolicyStore(state, clock);
    // Chance does not compress: more than one chunk of base64.
    const random = seededRandom(1);
    const hosts = Array.from({ length: 70_000 }, () => random().toString(36).slice(2));
    const { revision } = await store.apply(put({ ...service("a"), hosts }), accept);
    const chunks = await state.list("policy/content/");
    expect(chunks.length).toBeGreaterThan(1);
    const reopened = await openPolicyStore(state, clock);
    expect(reopened.head.current.revision).toBe(revision);
    expect(reopened.head.current.policies.get("Service/default/a")).toEqual({ ...service("a"), hosts });
  });

  it("refuses a change too long for the history, before it writes", async () => {
    const store = await openPolicyStore(state, clock);
    const before = await state.list("");
    const long = store.apply({ ...put(service("a")), message: "x".repeat(1_048_576) }, accept);
    await expect(long).rejects.toMatchObject({ code: "commit-too-large" });
    expect(await state.list("")).toEqual(before);
  });

  it("lets writers race: all succeed in some order, and each is reviewed on what it really changes", async () => {
    const stores = [await openPolicyStore(state, clock), await openPolicyStore(state, clock)];
    const reviewed: string[] = [];
    const results = await Promise.all(
      Array.from({ length: 6 }, (_, n) =>
        stores[n % 2]!.apply(put(service(`s${n}`)), (candidate) => reviewed.push(`s${n} of ${candidate.size}`)),
      ),
    );
    expect(results.map(({ revision }) => Number(revision.split(".")[1])).sort()).toEqual([1, 2, 3, 4, 5, 6]);
    expect(reviewed.length).toBeGreaterThan(6);
    for (let size = 1; size <= 6; size++) expect(reviewed.some((each) => each.endsWith(` of ${size}`))).toBe(true);
    await expect.poll(() => stores.map((store) => keysOf(store).length)).toEqual([6, 6]);
    expect(await state.list("policy/attempts/")).toEqual([]);
    expect(await state.list("policy/content/")).toHaveLength(6);
  });

  it("hears of what another replica wrote", async () => {
    const [mine, theirs] = [await openPolicyStore(state, clock), await openPolicyStore(state, clock)];
    const { revision } = await theirs.apply(put(service("a")), accept);
    await expect.poll(() => mine.head.current.revision).toBe(revision);
    expect(keysOf(mine)).toEqual(["Service/default/a"]);
  });

  it("knows a revision that another replica wrote, before it heard of it", async () => {
    const deaf: StateStore = { ...dyingStore(state, () => true), watch: () => () => undefined };
    const mine = await openPolicyStore(deaf, clock);
    const { revision } = await (await openPolicyStore(state, clock)).apply(put(service("a")), accept);
    expect(await mine.at(revision)).toMatchObject({ revision });
    expect(await mine.at("2")).toBeUndefined();
  });

  it.each([
    ["before its content", 1],
    ["between its content and the head", 2],
  ])("loses nothing and keeps no waste when a writer dies %s", async (_, commitsBeforeDeath) => {
    const good = await openPolicyStore(state, clock);
    const { revision } = await good.apply(put(service("a")), accept);
    const before = await state.list("");
    let commits = 0;
    const dying = await openPolicyStore(
      dyingStore(state, () => commits++ < commitsBeforeDeath),
      clock,
    );
    await expect(dying.apply(put(service("b")), accept)).rejects.toThrow("killed");
    expect((await state.list("")).length).toBeGreaterThan(before.length);
    const after = await openPolicyStore(state, clock);
    expect(after.head.current.revision).toBe(revision);
    expect(await state.list("")).toEqual(before);
  });

  it("begins again when a starting replica took its attempt for an orphan", async () => {
    let swept = false;
    const other = await openPolicyStore(state, clock);
    const meddled = dyingStore(state, () => true);
    const store = await openPolicyStore(
      {
        ...meddled,
        commit: async (checks, writes) => {
          if (!swept && writes.some(({ key }) => key === "policy/head")) {
            swept = true;
            await openPolicyStore(state, clock);
          }
          return meddled.commit(checks, writes);
        },
      },
      clock,
    );
    const { revision } = await store.apply(put(service("a")), accept);
    expect(swept).toBe(true);
    expect((await openPolicyStore(state, clock)).head.current.revision).toBe(revision);
    expect(await other.at("1")).toMatchObject({ revision });
  });

  it("says where a damaged history is damaged", async () => {
    const store = await openPolicyStore(state, clock);
    await store.apply(put(service("a")), accept);
    const [chunk] = await state.list("policy/content/");
    await state.commit([], [{ key: chunk!.key, value: null }]);
    await expect(openPolicyStore(state, clock)).rejects.toMatchObject({
      code: "corrupt",
      message: expect.stringMatching(/revision \w+\.1 of the policies cannot be read/),
    });
  });
});

describe("a policy store on sqlite", () => {
  it("stands where it stood after a restart", async () => {
    const folder = mkdtempSync(join(tmpdir(), "tulle-policies-"));
    const clock = new FakeClock();
    const open = () => openSqliteStore(join(folder, "mesh.db"), clock);
    const before = open();
    const store = await openPolicyStore(before, clock);
    await store.apply(put(service("a")), accept);
    await store.apply(put(service("b")), accept);
    const [head, history] = [store.head.current, await store.history(10)];
    await store.close();
    await before.close();
    const after = open();
    const again = await openPolicyStore(after, clock);
    expect(again.head.current).toEqual(head);
    expect(await again.history(10)).toEqual(history);
    await again.close();
    await after.close();
    rmSync(folder, { recursive: true });
  });
});
