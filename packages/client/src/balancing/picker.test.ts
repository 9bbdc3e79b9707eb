import { seededRandom } from "@tulle/testing";
import { expect, test } from "vitest";
import { pickerContract } from "./picker.contract.ts";
import { createPicker } from "./picker.ts";

const leastRequest = {
  algorithm: "least-request",
  choiceCount: 2,
  selection: "n-choices",
  activeRequestBias: 1,
} as const;
const ringHash = {
  algorithm: "ring-hash",
  minimumRingSize: 1_024,
  maximumRingSize: 8_388_608,
  balanceFactor: undefined,
} as const;
const maglev = { algorithm: "maglev", tableSize: 65_537, balanceFactor: undefined } as const;
const peakEwma = { algorithm: "peak-ewma", decayMs: 10_000, defaultRttMs: 30 } as const;

pickerContract("peak-ewma", (random) => createPicker(peakEwma, { random }));
pickerContract("round-robin", (random) => createPicker({ algorithm: "round-robin" }, { random }));
pickerContract("ring-hash", (random) => createPicker(ringHash, { random }));
pickerContract("ring-hash with bounded load", (random) =>
  createPicker({ ...ringHash, balanceFactor: 1.5 }, { random }),
);
pickerContract("maglev", (random) => createPicker(maglev, { random }));
pickerContract("random", (random) => createPicker({ algorithm: "random" }, { random }));
pickerContract("least-request", (random) => createPicker(leastRequest, { random }));
pickerContract("least-request over all", (random) =>
  createPicker({ ...leastRequest, selection: "full-scan" }, { random }),
);

test("a picker has the name by which policies call it", () => {
  expect(createPicker(peakEwma, { random: seededRandom(1) }).name).toBe("peak-ewma");
  expect(createPicker({ algorithm: "round-robin" }, { random: seededRandom(1) }).name).toBe("round-robin");
});
