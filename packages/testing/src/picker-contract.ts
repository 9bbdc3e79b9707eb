import assert from "node:assert/strict";
import { type CreateBalancer, createPicker, type Picker } from "@tulle/client/balancing";
import type { Random } from "@tulle/time";
import { balancedSet, sendInTurn } from "./picker-kit.ts";
import { seededRandom } from "./seeded-random.ts";

/** One thing that holds for every balancer. Hand it to any test runner: `test(title, run)`. */
export interface ContractCase {
  readonly title: string;
  /** @throws AssertionError when it does not hold. */
  readonly run: () => void;
}

/** Chances that each rule is tried with. */
const SEEDS = 100;

/** What holds for every picker, the mesh's own ones too. */
export const pickerContract = (create: (random: Random) => Picker): readonly ContractCase[] => [
  {
    title: "answers nothing for no candidates",
    run: () => assert.equal(create(seededRandom(1)).pick([], undefined, 0), undefined),
  },
  {
    title: "always picks one of the candidates",
    run: () => {
      for (let seed = 0; seed < SEEDS; seed++) {
        const candidates = balancedSet(1 + (seed % 8));
        const picked = create(seededRandom(seed)).pick(candidates, undefined, seed * 1_009);
        assert.ok(picked !== undefined && candidates.includes(picked));
      }
    },
  },
  {
    title: "avoids tried endpoints while another one is left, and takes a tried one rather than none",
    run: () => {
      for (let seed = 0; seed < SEEDS; seed++) {
        const random = seededRandom(seed);
        const candidates = balancedSet(1 + Math.floor(random() * 5));
        const tried = new Set(balancedSet(5).flatMap(({ endpoint }) => (random() < 0.5 ? [endpoint.id] : [])));
        const picked = create(random).pick(candidates, tried, 0);
        assert.ok(picked !== undefined);
        const allTried = candidates.every(({ endpoint }) => tried.has(endpoint.id));
        assert.equal(tried.has(picked.endpoint.id), allTried);
      }
    },
  },
  {
    title: "goes on when endpoints come and go",
    run: () => {
      const picker = create(seededRandom(3));
      for (const count of [1, 5, 2, 0, 3]) {
        const candidates = balancedSet(count);
        for (let call = 0; call < 20; call++) {
          const picked = picker.pick(candidates, undefined, call);
          assert.equal(picked === undefined, count === 0);
          if (picked !== undefined) assert.ok(candidates.includes(picked));
        }
      }
    },
  },
  ...[2, 3, 4, 5].map((count) => ({
    title: `shares the calls of a quiet client evenly among ${count} equal endpoints`,
    run: () => {
      const counts = [...sendInTurn(create(seededRandom(7)), balancedSet(count), 3_000).values()];
      for (const each of counts) assert.ok(each / 3_000 > 0.7 / count, `shares are ${counts.join(", ")}`);
    },
  })),
  {
    title: "counts what is in flight, what ended and what failed",
    run: () => {
      const picker = create(seededRandom(1));
      const [one] = balancedSet(1);
      assert.ok(one !== undefined);
      picker.start(one, 0);
      picker.start(one, 0);
      picker.end(one, 5, { rttMs: 5, failed: true });
      const [told] = picker.explain([one], 5);
      assert.ok(told !== undefined);
      const { endpoint, inFlight, answered, failed, rttMs } = told;
      assert.deepEqual(
        { endpoint, inFlight, answered, failed },
        { endpoint: "a", inFlight: 1, answered: 1, failed: 1 },
      );
      assert.equal(typeof rttMs, "number");
    },
  },
  {
    title: "says that an endpoint which answered nothing has no latency",
    run: () => {
      const [told] = create(seededRandom(1)).explain(balancedSet(1), 0);
      assert.equal(told?.rttMs, undefined);
      assert.equal(told?.inFlight, 0);
    },
  },
];

/** What holds for a balancer of one's own, as the mesh runs it, and that it never made the mesh fall back on chance. */
export const customBalancerContract = (create: CreateBalancer): readonly ContractCase[] => {
  const faults: string[] = [];
  const asPicker = (random: Random): Picker =>
    createPicker(
      { algorithm: "custom", name: "tested" },
      { random, balancers: { tested: create }, onFault: (problem) => faults.push(problem) },
    );
  return pickerContract(asPicker).map(({ title, run }) => ({
    title,
    run: () => {
      faults.length = 0;
      run();
      assert.deepEqual(faults, []);
    },
  }));
};
