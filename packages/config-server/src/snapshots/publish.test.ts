import { FakeClock } from "@tulle/testing";
import { describe, expect, it } from "vitest";
import { Publisher } from "./publish.ts";

describe("the publisher", () => {
  it("publishes once for changes that follow one another quickly", () => {
    const clock = new FakeClock();
    const published: number[] = [];
    const publisher = new Publisher(clock, () => published.push(clock.now()));
    publisher.changed();
    clock.advance(10);
    publisher.changed();
    clock.advance(100);
    publisher.changed();
    clock.advance(100);
    expect(published).toEqual([30, 130]);
  });

  it("publishes at least once a second, however often something changes", () => {
    const clock = new FakeClock();
    const published: number[] = [];
    const publisher = new Publisher(clock, () => published.push(clock.now()));
    for (let n = 0; n < 250; n++) {
      publisher.changed();
      clock.advance(10);
    }
    expect(published).toEqual([1_000, 2_000]);
  });

  it("leaves no timer when it is closed, and publishes nothing after", () => {
    const clock = new FakeClock();
    const publisher = new Publisher(clock, () => expect.unreachable());
    publisher.changed();
    publisher.close();
    publisher.changed();
    expect(clock.pendingTimers).toBe(0);
  });

  it("says when what has changed is published, at once when nothing waits, and at its close", async () => {
    const clock = new FakeClock();
    const told: string[] = [];
    const publisher = new Publisher(clock, () => told.push("published"));
    await publisher.settled();
    publisher.changed();
    const settled = publisher.settled().then(() => told.push("settled"));
    await Promise.resolve();
    expect(told).toEqual([]);
    clock.advance(100);
    await settled;
    expect(told).toEqual(["published", "settled"]);
    publisher.changed();
    const ended = publisher.settled();
    publisher.close();
    await ended;
  });
});
