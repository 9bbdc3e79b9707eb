import { MeshError } from "@tulle/policy";
import { expect, test } from "vitest";
import { outcomeOfError, outcomeOfGrpc, outcomeOfStatus } from "./outlier-outcome.ts";

test.each([
  [200, "success"],
  [404, "success"],
  [429, "success"],
  [499, "success"],
  [500, "server-error"],
  [501, "server-error"],
  [502, "gateway-error"],
  [503, "gateway-error"],
  [504, "gateway-error"],
  [505, "server-error"],
] as const)("an answer of %i is a %s", (status, outcome) => {
  expect(outcomeOfStatus(status)).toBe(outcome);
});

test.each(["CONNECT_FAILED", "CONNECTION_TERMINATED", "REPLY_BROKEN", "ATTEMPT_TIMEOUT"] as const)(
  "%s is the endpoint's failure",
  (code) => {
    expect(outcomeOfError(new MeshError(code, { message: "failed" }))).toBe("local-origin");
  },
);

test.each([
  ["an abort", new DOMException("aborted", "AbortError")],
  ["an open circuit", new MeshError("CIRCUIT_OPEN", { message: "open" })],
  ["a call that cannot be sent", new MeshError("INVALID_CALL", { message: "bad" })],
])("%s says nothing about the endpoint", (_, error) => {
  expect(outcomeOfError(error)).toBeUndefined();
});

test.each([
  ["0", "success"],
  ["5", "success"],
  ["8", "success"],
  ["4", "gateway-error"],
  ["14", "gateway-error"],
  ["13", "server-error"],
  ["12", "server-error"],
  ["99", "server-error"],
] as const)("grpc-status %s is a %s", (code, expected) => {
  expect(outcomeOfGrpc({ "grpc-status": code })).toBe(expected);
});

test("without a grpc-status the HTTP status counts", () => {
  expect([outcomeOfGrpc(undefined), outcomeOfGrpc({}), outcomeOfGrpc({ "grpc-status": "" })]).toEqual([
    undefined,
    undefined,
    undefined,
  ]);
});
