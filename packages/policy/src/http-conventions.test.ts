import { expect, test } from "vitest";
import { methodAttribute } from "./http-conventions.ts";

test.each([
  ["GET", "GET"],
  ["QUERY", "QUERY"],
  ["get", "_OTHER"],
  ["BREW", "_OTHER"],
])("the method %s is recorded as %s", (method, recorded) => expect(methodAttribute(method)).toBe(recorded));
