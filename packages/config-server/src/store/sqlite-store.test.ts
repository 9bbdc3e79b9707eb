import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { FakeClock } from "@tulle/testing";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openSqliteStore } from "./sqlite-store.ts";
import { stateStoreContract } from "./state-store.contract.ts";

stateStoreContract("sqlite in memory", (clock) => openSqliteStore(":memory:", clock));

describe("sqlite in a file", () => {
  let folder: string;
  let file: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "tulle-store-"));
    file = join(folder, "state", "mesh.db");
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("keeps entries and versions over a restart", async () => {
    const clock = new FakeClock();
    const before = openSqliteStore(file, clock);
    await before.commit([], [{ key: "a", value: "ä\u0000\n" }]);
    const written = await before.get("a");
    await before.close();
    const after = openSqliteStore(file, clock);
    expect(await after.get("a")).toEqual(written);
    await after.commit([], [{ key: "b", value: "" }]);
    expect((await after.get("b"))!.version).toBeGreaterThan(written!.version);
    await after.close();
  });

  it("ends leases that ran out while no process was there", async () => {
    const clock = new FakeClock();
    const before = openSqliteStore(file, clock);
    await before.lease("l", "one", 1_000);
    await before.close();
    clock.advance(999);
    const soon = openSqliteStore(file, clock);
    expect(await soon.get("l")).toBeDefined();
    await soon.close();
    clock.advance(1);
    const later = openSqliteStore(file, clock);
    expect(await later.get("l")).toBeUndefined();
    await later.close();
  });

  it("is readable by its owner alone", async () => {
    const store = openSqliteStore(file, new FakeClock());
    await store.commit([], [{ key: "a", value: "1" }]);
    for (const name of [file, `${file}-wal`, `${file}-shm`]) expect(statSync(name).mode & 0o777).toBe(0o600);
    await store.close();
  });

  it("tells of what another process wrote, deletions included, within one poll", async () => {
    const clock = new FakeClock();
    const [mine, theirs] = [openSqliteStore(file, clock), openSqliteStore(file, new FakeClock())];
    const events: string[] = [];
    mine.watch("", ({ key, entry }) => events.push(`${key}=${entry?.value}`));
    await theirs.commit([], [{ key: "a", value: "1" }]);
    clock.advance(250);
    await theirs.commit([], [{ key: "a", value: null }]);
    await theirs.commit([], [{ key: "b", value: "2" }]);
    await mine.commit([], [{ key: "c", value: "3" }]);
    expect(events).toEqual(["a=1", "a=undefined", "b=2", "c=3"]);
    await Promise.all([mine.close(), theirs.close()]);
  });

  it("lets one of two processes win a compare-and-set", async () => {
    const stores = [openSqliteStore(file, new FakeClock()), openSqliteStore(file, new FakeClock())];
    const results = await Promise.all(
      stores.map((store) => store.commit([{ key: "a", version: 0 }], [{ key: "a", value: "" }])),
    );
    expect(results.filter(Boolean)).toHaveLength(1);
    await Promise.all(stores.map((store) => store.close()));
  });

  it("refuses a file of a newer schema and leaves it alone", async () => {
    await openSqliteStore(file, new FakeClock()).close();
    const database = new DatabaseSync(file);
    database.exec("PRAGMA user_version = 99");
    database.close();
    expect(() => openSqliteStore(file, new FakeClock())).toThrow(
      expect.objectContaining({ code: "newer-schema", message: expect.stringContaining("schema version 99") }),
    );
  });

  it("refuses a file that is no database", () => {
    const text = join(folder, "notes.txt");
    writeFileSync(text, "not a database, only a long enough line of text ".repeat(20));
    expect(() => openSqliteStore(text, new FakeClock())).toThrow(/not a database/);
  });
});
