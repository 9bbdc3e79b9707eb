import { expect, test } from "vitest";
import { alternate, median, ratioOf } from "./alternate.ts";

test("the contenders take turns, and each round begins with another one", async () => {
  const order: string[] = [];
  const contender = (name: string) => ({ name, call: async () => order.push(name) });
  const costs = await alternate([contender("a"), contender("b")], {
    warmUp: 1,
    settle: 1,
    rounds: 2,
    calls: 2,
    inFlight: 1,
  });
  expect(order.join("")).toBe("ab" + "aaabbb" + "bbbaaa");
  expect(costs.map(({ name }) => name)).toEqual(["a", "b"]);
  for (const { cpuMicros, rounds } of costs) expect(cpuMicros).toBe(median(rounds));
});

test("never more calls are under way than asked for", async () => {
  let underWay = 0;
  let most = 0;
  const call = async () => {
    underWay += 1;
    most = Math.max(most, underWay);
    await new Promise(setImmediate);
    underWay -= 1;
  };
  await alternate([{ name: "a", call }], { warmUp: 0, settle: 0, rounds: 1, calls: 100, inFlight: 7 });
  expect(most).toBe(7);
});

test("a round in which all were slow does not change the ratio", () => {
  const cost = (name: string, rounds: readonly number[]) => ({ name, cpuMicros: median(rounds), rounds });
  expect(ratioOf(cost("a", [20, 200, 22]), cost("b", [10, 100, 11]))).toBe(2);
});

test("the median of an even number of values lies between the two in the middle", () => {
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([9, 1, 5])).toBe(5);
  expect(() => median([])).toThrow(RangeError);
});
