import { expect, test } from "vitest";
import { WorkGate } from "./work-gate.ts";

test("lets so much work in, keeps so much waiting in order, and refuses the rest at once", async () => {
  const gate = new WorkGate({ maxRunning: 2, maxWaiting: 2 });
  const running: PromiseWithResolvers<void>[] = [];
  const began: number[] = [];
  const work = (number: number): Promise<number> =>
    gate.run(async () => {
      began.push(number);
      const held = Promise.withResolvers<void>();
      running.push(held);
      await held.promise;
      return number;
    });
  const all = [1, 2, 3, 4].map(work);
  await expect(work(5)).rejects.toMatchObject({ code: "too-many" });
  expect([began, gate.overflows]).toEqual([[1, 2], 1]);
  running[0]?.resolve();
  expect(await all[0]).toBe(1);
  await expect.poll(() => began).toEqual([1, 2, 3]);
  for (let next = 1; next < 4; next++) {
    await expect.poll(() => running.length).toBeGreaterThan(next);
    running[next]?.resolve();
  }
  expect(await Promise.all(all)).toEqual([1, 2, 3, 4]);
  await expect(gate.run(async () => "again")).resolves.toBe("again");
});

test("work that fails gives its place back", async () => {
  const gate = new WorkGate({ maxRunning: 1, maxWaiting: 0 });
  for (let time = 0; time < 3; time++) {
    await expect(gate.run(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
  }
  expect(gate.overflows).toBe(0);
});
