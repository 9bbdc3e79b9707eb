import { expect, test } from "vitest";
import { describeSkew } from "./clock-skew.ts";

test.each([
  [0, undefined],
  [5_000, undefined],
  [-5_000, undefined],
  [5_001, "the clock of this machine is 5 s behind the config-server's"],
  [-600_000, "the clock of this machine is 600 s ahead of the config-server's"],
])("a skew of %i ms is told as %j", (skewMs, words) => expect(describeSkew(skewMs)).toBe(words));
