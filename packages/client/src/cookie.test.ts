import { expect, test } from "vitest";
import { cookieOf } from "./cookie.ts";

test.each([
  [["cookie", "a=1; user=jason; b=2"], "jason"],
  [["Cookie", "user=jason"], "jason"],
  [["accept", "user=no", "cookie", "a=1", "cookie", "user=jason"], "jason"],
  [["cookie", "user=first; user=second"], "first"],
  [["cookie", 'user="quoted"'], "quoted"],
  [["cookie", "user=a=b,c"], "a=b,c"],
  [["cookie", "user="], ""],
  [["cookie", "superuser=x; user"], undefined],
  [[], undefined],
])("%j", (headers, value) => expect(cookieOf(headers, "user")).toBe(value));
