import { seededRandom } from "@tulle/testing";
import { expect, test } from "vitest";
import { pickerContract } from "./picker.contract.ts";
import { createPicker } from "./picker.ts";

const peakEwma = { algorithm: "peak-ewma", decayMs: 10_000, defaultRttMs: 30 } as const;

pickerContract("peak-ewma", (random) => createPicker(peakEwma, { random }));
pickerContract("round-robin", (random) => createPicker({ algorithm: "round-robin" }, { random }));

test("a picker has the name by which policies call it", () => {
  expect(createPicker(peakEwma, { random: seededRandom(1) }).name).toBe("peak-ewma");
  expect(createPicker({ algorithm: "round-robin" }, { random: seededRandom(1) }).name).toBe("round-robin");
});
