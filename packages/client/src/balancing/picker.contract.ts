import { pickerContract as casesOf } from "@tulle/testing/balancing";
import type { Random } from "@tulle/time";
import { describe, test } from "vitest";
import type { Picker } from "./picker.ts";

/** What holds for every picker: the same rules that users hold balancers of their own to. */
export const pickerContract = (name: string, create: (random: Random) => Picker): void => {
  describe(`${name} as a picker`, () => {
    for (const { title, run } of casesOf(create)) test(title, run);
  });
};
