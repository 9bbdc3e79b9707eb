import { expect, test } from "vitest";
import { newTokenId } from "./token-id.ts";

test("ids differ, and none looks like an option of a command line", () => {
  const ids = Array.from({ length: 10_000 }, newTokenId);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.filter((id) => !/^[A-Za-z0-9_][A-Za-z0-9_-]{15}$/.test(id))).toEqual([]);
});
