import { seededRandom } from "@tulle/testing";
import { balanced, balancedSet } from "@tulle/testing/balancing";
import { expect, test } from "vitest";
import { pickerContract } from "./picker.contract.ts";
import { type Balanced, createPicker, type Picker } from "./picker.ts";

const policy = { algorithm: "prequal", inFlightQuantile: 0.84 } as const;
/** Chance that never explores. */
const neverExploring = (changes: object = {}): Picker => createPicker({ ...policy, ...changes }, { random: () => 0.5 });

pickerContract("prequal", (random) => createPicker(policy, { random }));

/** A threshold of 5: most that was seen lately had 5 in flight, little had more. */
const seeCalm = (picker: Picker): void => {
  const witness = balanced("witness");
  for (let seen = 0; seen < 128; seen++)
    picker.report?.(witness, -10_000, { inFlight: seen < 110 ? 5 : 50, latencyMs: 1 });
};

test("of those that are not hot the one with the least latency is picked, though it has more in flight", () => {
  const candidates = balancedSet(3) as [Balanced, Balanced, Balanced];
  const picker = neverExploring();
  seeCalm(picker);
  picker.report?.(candidates[0], 0, { inFlight: 1, latencyMs: 20 });
  picker.report?.(candidates[1], 0, { inFlight: 3, latencyMs: 10 });
  picker.report?.(candidates[2], 0, { inFlight: 40, latencyMs: 1 });
  expect(picker.pick(candidates, undefined, 0)?.endpoint.id).toBe("b");
});

test("where all are hot the one with the least in flight is picked, though it is slow", () => {
  const candidates = balancedSet(2) as [Balanced, Balanced];
  const picker = neverExploring();
  seeCalm(picker);
  picker.report?.(candidates[0], 0, { inFlight: 20, latencyMs: 500 });
  picker.report?.(candidates[1], 0, { inFlight: 30, latencyMs: 5 });
  expect(picker.pick(candidates, undefined, 0)?.endpoint.id).toBe("a");
});

test("a pick counts as one more in flight, so calls in one moment spread", () => {
  const candidates = balancedSet(2) as [Balanced, Balanced];
  const picker = neverExploring({ inFlightQuantile: 0 });
  picker.report?.(candidates[0], 0, { inFlight: 1, latencyMs: 1 });
  picker.report?.(candidates[1], 0, { inFlight: 2, latencyMs: 1 });
  // Both above the threshold of 1 from the first pick on.
  const picked = [1, 2, 3].map(() => picker.pick(candidates, undefined, 0)?.endpoint.id);
  expect(new Set(picked)).toEqual(new Set(["a", "b"]));
});

test("with fewer than two fresh reports the power of two choices by peak EWMA decides", () => {
  const candidates = balancedSet(2) as [Balanced, Balanced];
  const picker = neverExploring();
  for (const [candidate, rttMs] of [
    [candidates[0], 100],
    [candidates[1], 1],
  ] as const) {
    picker.start(candidate, 0);
    picker.end(candidate, 0, { rttMs, failed: false });
  }
  picker.report?.(candidates[0], 0, { inFlight: 0, latencyMs: 1 });
  expect(picker.pick(candidates, undefined, 0)?.endpoint.id).toBe("b");
  picker.report?.(candidates[1], 0, { inFlight: 0, latencyMs: 1 });
  // Both reports are too old.
  expect(picker.pick(candidates, undefined, 1_001)?.endpoint.id).toBe("b");
});

test("an endpoint whose last call failed is believed nothing until one succeeds", () => {
  const candidates = balancedSet(3) as [Balanced, Balanced, Balanced];
  const picker = neverExploring();
  const answer = (candidate: Balanced, failed: boolean, latencyMs: number): void => {
    picker.start(candidate, 0);
    picker.report?.(candidate, 0, { inFlight: 0, latencyMs });
    picker.end(candidate, 0, { rttMs: 5, failed });
  };
  answer(candidates[0], true, 1);
  answer(candidates[0], true, 1);
  answer(candidates[1], false, 10);
  answer(candidates[2], false, 20);
  expect(picker.pick(candidates, undefined, 0)?.endpoint.id).toBe("b");
  answer(candidates[0], false, 1);
  answer(candidates[0], false, 1);
  expect(picker.pick(candidates, undefined, 0)?.endpoint.id).toBe("a");
});

test("some calls are decided without reports, so that nobody is forgotten", () => {
  const candidates = balancedSet(5);
  const picker = createPicker(policy, { random: seededRandom(3) });
  const met = new Set<string>();
  for (let call = 0; call < 400; call++) {
    for (const known of candidates.slice(0, 2)) picker.report?.(known, 0, { inFlight: 0, latencyMs: 1 });
    met.add(picker.pick(candidates, undefined, 0)?.endpoint.id ?? "");
  }
  expect(met.size).toBe(5);
});

test("a newcomer's figures weigh as if it were slower where the policy asks for a slow start", () => {
  const a = balanced("a");
  const b: Balanced = { ...balanced("b"), figures: { ...balanced("b").figures, joinedAtMs: 90_000 } };
  const picker = neverExploring({ slowStart: { windowMs: 20_000, aggression: 1, minimumShare: 0.1 } });
  seeCalm(picker);
  picker.report?.(a, 100_000, { inFlight: 0, latencyMs: 15 });
  picker.report?.(b, 100_000, { inFlight: 0, latencyMs: 10 });
  expect(picker.pick([a, b], undefined, 100_000)?.endpoint.id).toBe("a");
  picker.report?.(a, 110_000, { inFlight: 0, latencyMs: 15 });
  picker.report?.(b, 110_000, { inFlight: 0, latencyMs: 10 });
  expect(picker.pick([a, b], undefined, 110_000)?.endpoint.id).toBe("b");
});

test("reports of endpoints that have left lead nowhere", () => {
  const candidates = balancedSet(3) as [Balanced, Balanced, Balanced];
  const picker = neverExploring();
  for (const candidate of candidates) picker.report?.(candidate, 0, { inFlight: 0, latencyMs: 1 });
  const left = candidates.slice(1);
  expect(left).toContain(picker.pick(left, undefined, 0));
});
