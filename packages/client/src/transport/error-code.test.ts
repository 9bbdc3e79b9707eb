import { expect, test } from "vitest";
import { errorCodeOf } from "./error-code.ts";

const coded = (code: string) => Object.assign(new Error("x"), { code });

test.each([
  ["its own", coded("ECONNRESET"), "ECONNRESET"],
  ["its cause's", new TypeError("fetch failed", { cause: coded("EPIPE") }), "EPIPE"],
  ["that of the first of several", new AggregateError([new Error("y"), coded("ECONNREFUSED")]), "ECONNREFUSED"],
  ["its own before its cause's", Object.assign(new Error("x", { cause: coded("B") }), { code: "A" }), "A"],
  ["none of a DOMException's numbers", new DOMException("x", "AbortError"), undefined],
  ["none of an error without", new Error("x"), undefined],
  ["none of what is no error", "ECONNRESET", undefined],
])("an error's code is %s", (_name, error, code) => {
  expect(errorCodeOf(error)).toBe(code);
});
