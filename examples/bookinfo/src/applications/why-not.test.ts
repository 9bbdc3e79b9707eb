import { expect, test } from "vitest";
import { whyNot } from "./why-not.ts";

test.each([
  ['{"code":"ACCESS_DENIED","message":"no rule allows it"}', "details answered 403: no rule allows it"],
  ['{"error":"ratings answered 500"}', "details answered 403: ratings answered 500"],
  ["Forbidden\n", "details answered 403"],
  ['{"message":{}}', "details answered 403"],
  ["null", "details answered 403"],
])("%j: %s", async (body, told) => {
  expect(await whyNot("details", new Response(body, { status: 403 }))).toBe(told);
});
