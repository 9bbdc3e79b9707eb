import { expect, test } from "vitest";
import { ProtocolError } from "./protocol-error.ts";
import { negotiate } from "./version.ts";

test.each([
  [{ min: 1, max: 3 }, { min: 2, max: 5 }, 3],
  [{ min: 2, max: 5 }, { min: 1, max: 3 }, 3],
  [{ min: 2, max: 2 }, { min: 2, max: 2 }, 2],
])("the highest version that both speak: %j and %j give %i", (member, server, chosen) => {
  expect(negotiate(member, server)).toBe(chosen);
});

test.each([
  [
    { min: 1, max: 1 },
    { min: 2, max: 4 },
    "the member speaks versions 1 to 1, the config-server 2 to 4: upgrade the member",
  ],
  [
    { min: 5, max: 6 },
    { min: 2, max: 4 },
    "the member speaks versions 5 to 6, the config-server 2 to 4: upgrade the config-server",
  ],
])("%j and %j have none in common", (member, server, message) => {
  expect(() => negotiate(member, server)).toThrow(new ProtocolError("protocol-version", message));
});
