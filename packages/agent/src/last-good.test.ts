import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeClock } from "@tulle/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { LastGood } from "./last-good.ts";
import { silentLogger } from "./logger.ts";
import { StateFolder } from "./state-folder.ts";
import { type HeldStreams, nothingHeld } from "./subscription.ts";

let root: string;
let folder: StateFolder;
let clock: FakeClock;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "tulle-last-good-"));
  folder = StateFolder.take(root);
  clock = new FakeClock();
});

afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

const at = (number: number): HeldStreams => ({
  ...nothingHeld,
  policy: {
    revision: `e.${number}`,
    seen: `e.${number}`,
    resources: new Map([["mesh", { version: `v${number}`, value: { kind: "Mesh", name: "mesh" } }]]),
  },
});

describe("the last good state", () => {
  test("reads back as it was kept", async () => {
    const kept = new LastGood(folder, clock, silentLogger);
    kept.keepStreams(at(1));
    kept.keepCredentials({ pendingKey: "key 1" });
    kept.keepCredentials({ certificate: { certificateChain: "chain", privateKey: "key 1", receivedMs: 7 } });
    kept.keepCredentials({ pendingKey: "key 2" });
    kept.writeInstanceId("reviews-0");
    await kept.close();
    const later = new LastGood(StateFolder.take(root), clock, silentLogger);
    expect(later.readStreams()).toEqual(at(1));
    expect(later.readInstanceId()).toBe("reviews-0");
    expect(later.readCredentials()).toEqual({
      certificate: { certificateChain: "chain", privateKey: "key 1", receivedMs: 7 },
      pendingKey: "key 2",
    });
  });

  test("of several changes only the last is written", async () => {
    const kept = new LastGood(folder, clock, silentLogger);
    for (const number of [1, 2, 3]) kept.keepStreams(at(number));
    await kept.flush();
    expect(kept.counters).toEqual({ stateWrites: 1, stateWriteFailures: 0 });
    expect(kept.readStreams()).toEqual(at(3));
  });

  test("a change is written without waiting for another, and the next one too", async () => {
    const kept = new LastGood(folder, clock, silentLogger);
    for (const number of [1, 2]) {
      kept.keepStreams(at(number));
      clock.advance(0);
      await expect.poll(() => kept.counters.stateWrites).toBe(number);
    }
    expect(JSON.parse(readFileSync(join(folder.path, "resources.json"), "utf8"))).toMatchObject({
      form: 1,
      streams: { policy: { revision: "e.2" } },
    });
    await kept.close();
    expect(clock.pendingTimers).toBe(0);
  });
});
