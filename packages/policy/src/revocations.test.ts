import { expect, test } from "vitest";
import { isRevoked } from "./revocations.ts";

const revocations = { serials: new Set(["1F"]), spiffeIds: new Set(["spiffe://prod/ns/a/sa/b"]) };
const names = ["prod", "old"];

test.each([
  ["the identity itself", "spiffe://prod/ns/a/sa/b", "2", true],
  ["the identity under an alias of its trust domain", "spiffe://old/ns/a/sa/b", "2", true],
  ["another identity under the alias", "spiffe://old/ns/a/sa/c", "2", false],
  ["the same name in a trust domain of others", "spiffe://partner/ns/a/sa/b", "2", false],
  ["a serial number, however it is written", "spiffe://partner/ns/a/sa/b", "00:1f", true],
])("a revocation of a serial and an identity holds for %s", (_, spiffeId, serial, revoked) => {
  expect(isRevoked(revocations, { spiffeId, serial }, names)).toBe(revoked);
});

test("nothing is revoked where nothing was told", () => {
  expect(isRevoked(undefined, { spiffeId: "spiffe://prod/ns/a/sa/b", serial: "1F" }, names)).toBe(false);
});
