import { seededRandom } from "@tulle/testing";
import { balanced, balancedSet, customBalancerContract, sendInTurn } from "@tulle/testing/balancing";
import { describe, expect, test } from "vitest";
import { unknownBalancers } from "./check-balancers.ts";
import type { CreateBalancer, CustomBalancer } from "./custom-balancer.ts";
import { pickerContract } from "./picker.contract.ts";
import { createPicker, type Picker } from "./picker.ts";

const pickerOf = (
  create: CreateBalancer,
  onFault?: (problem: string) => void,
  slowStart?: { windowMs: number; aggression: number; minimumShare: number },
): Picker =>
  createPicker(
    { algorithm: "custom", name: "mine", ...(slowStart === undefined ? {} : { slowStart }) },
    { random: seededRandom(1), balancers: { mine: create }, onFault },
  );

/** Calls the least busy one that was not tried. */
const leastBusy: CreateBalancer = ({ random }) => ({
  pick: (candidates, tried) => {
    const start = Math.floor(random() * candidates.length);
    const turned = [...candidates.slice(start), ...candidates.slice(0, start)];
    const left = turned.filter(({ endpoint }) => tried?.has(endpoint.id) !== true);
    return (left.length > 0 ? left : turned).toSorted((a, b) => a.figures.inFlight - b.figures.inFlight)[0];
  },
});

pickerContract("a balancer of one's own", (random) =>
  createPicker({ algorithm: "custom", name: "mine" }, { random, balancers: { mine: leastBusy } }),
);

describe("a balancer of one's own under the contract for users", () => {
  for (const { title, run } of customBalancerContract(leastBusy)) test(title, run);
});

test("the contract for users tells of a balancer that leans on the mesh's chance", () => {
  const cases = customBalancerContract(() => ({ pick: () => undefined }));
  expect(() => cases.find(({ title }) => title.startsWith("always picks"))?.run()).toThrow("picked nothing");
});

test("it has the name by which the policy calls it", () => {
  expect(pickerOf(leastBusy).name).toBe("custom:mine");
});

test.each<[string, CustomBalancer, string]>([
  [
    "throws",
    {
      pick: () => {
        throw new Error("not today");
      },
    },
    'the balancer "mine" threw in pick: Error: not today',
  ],
  ["picks nothing", { pick: () => undefined }, 'the balancer "mine" picked nothing'],
  // A stranger is what the types forbid and JavaScript allows.
  ["picks a stranger", { pick: <C>() => balanced("a") as C }, 'the balancer "mine" picked what is no candidate'],
])("where it %s chance decides, and it is told", (_what, balancer, told) => {
  const faults: string[] = [];
  const picker = pickerOf(
    () => balancer,
    (problem) => faults.push(problem),
  );
  const counts = sendInTurn(picker, balancedSet(2), 1_000);
  for (const count of counts.values()) expect(count).toBeGreaterThan(350);
  expect(new Set(faults)).toEqual(new Set([told]));
});

test("what it throws while it is told of calls fails no call", () => {
  const faults: string[] = [];
  const fails = (): never => {
    throw new Error("no");
  };
  const picker = pickerOf(
    () => ({ pick: ([first]) => first, start: fails, end: fails, load: fails }),
    (problem) => faults.push(problem),
  );
  const [one] = balancedSet(1);
  picker.start(one!, 0);
  picker.end(one!, 5, { rttMs: 5, failed: false });
  expect(picker.explain([one!], 5)).toMatchObject([{ inFlight: 0, answered: 1, load: 1 }]);
  expect(faults).toEqual([
    expect.stringContaining("threw in start"),
    expect.stringContaining("threw in end"),
    expect.stringContaining("threw in load"),
  ]);
});

test("one that minds no tried endpoints sends nothing to an ejected one while another is left", () => {
  const picker = pickerOf(() => ({ pick: ([first]) => first }));
  const candidates = balancedSet(3);
  for (let call = 0; call < 100; call++) {
    expect(picker.pick(candidates, new Set(["a"]), 0)?.endpoint.id).not.toBe("a");
  }
  expect(picker.pick(candidates, new Set(["a", "b", "c"]), 0)?.endpoint.id).toBe("a");
});

test("it is told the weights, with the slow start of the policy in them", () => {
  const seen: number[] = [];
  const create: CreateBalancer = ({ weightOf }) => ({
    pick: (candidates, _tried, nowMs) => {
      seen.push(...candidates.map((each) => weightOf(each, nowMs)));
      return candidates[0];
    },
  });
  const picker = pickerOf(create, undefined, { windowMs: 10_000, aggression: 1, minimumShare: 0.1 });
  picker.pick([balanced("a", { weight: 4 })], undefined, 5_000);
  picker.pick([balanced("a", { weight: 4 })], undefined, 10_000);
  expect(seen).toEqual([2, 4]);
});

test("a policy that names a balancer which the process does not have is a problem, with what it has", () => {
  const policy = { kind: "Service", name: "reviews", balancer: { algorithm: "custom", name: "theirs" } } as const;
  const key = "default/reviews" as const;
  const services = new Map([[key, { key, policy, routes: [], endpoints: [] }]]);
  expect(unknownBalancers({ services }, { theirs: leastBusy })).toEqual([]);
  expect(unknownBalancers({ services }, { mine: leastBusy })).toEqual([
    {
      policy: "Service/default/reviews",
      path: "balancer.name",
      message: 'this process was given no balancer "theirs": it was given mine',
    },
  ]);
  expect(unknownBalancers({ services }, undefined)[0]?.message).toContain('hand it over as the option "balancers"');
});

test("what every object inherits is no balancer", () => {
  expect(() =>
    createPicker({ algorithm: "custom", name: "toString" }, { random: seededRandom(1), balancers: {} }),
  ).toThrow('no balancer "toString"');
});
