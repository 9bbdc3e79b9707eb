import { expect, test } from "vitest";
import { maxIdleConnectionsOf } from "./max-idle-connections.ts";

test("the option wins over its variable, and without either the client's default holds", () => {
  expect([
    maxIdleConnectionsOf(64, "128"),
    maxIdleConnectionsOf(undefined, "128"),
    maxIdleConnectionsOf(undefined, undefined),
  ]).toEqual([64, 128, undefined]);
});

test.each([
  [0, undefined],
  [1.5, undefined],
  [1_000_001, undefined],
  [undefined, "many"],
  [undefined, "-1"],
])("option %s and variable %s are refused by name", (option, variable) => {
  const name = option === undefined ? "TULLE_MAX_IDLE_CONNECTIONS" : "maxIdleConnections";
  expect(() => maxIdleConnectionsOf(option, variable)).toThrow(expect.objectContaining({ code: "INVALID_CALL" }));
  expect(() => maxIdleConnectionsOf(option, variable)).toThrow(name);
});
