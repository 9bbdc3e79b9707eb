import { expect, test } from "vitest";
import { errorIn, versionIn } from "./visits.ts";

const answer = (status: number, text: string) => ({ status, text, ms: 1 });

test("an answer's version is read where it is one of success, else its status", () => {
  expect(versionIn(answer(200, '{"servedBy":{"version":"v2"}}'))).toBe("v2");
  expect(versionIn(answer(503, '{"servedBy":{"version":"v2"}}'))).toBe("503");
  expect(versionIn(answer(200, "<!doctype html>"))).toBe("200");
});

test("an answer's reason is read, and none where there is none", () => {
  expect(errorIn(answer(503, '{"error":"no"}'))).toBe("no");
  expect(errorIn(answer(403, "Forbidden\n"))).toBe("");
  expect(errorIn(answer(200, "null"))).toBe("");
});
