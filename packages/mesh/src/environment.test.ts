import { expect, test } from "vitest";
import { readEnvironment } from "./environment.ts";

test("a locality is made of the variables that are set, an empty one being none", () => {
  const { locality } = readEnvironment({ TULLE_REGION: "eu", TULLE_ZONE: "a", TULLE_SUBZONE: "" });
  expect(locality).toEqual({ region: "eu", zone: "a" });
  expect(readEnvironment({ TULLE_ZONE: "" }).locality).toBeUndefined();
});
