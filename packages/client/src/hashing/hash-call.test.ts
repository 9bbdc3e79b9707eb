import type { HashKey } from "@tulle/policy";
import { expect, test } from "vitest";
import { callOf } from "../../test/scripted.ts";
import { compileCallHash, hashSourceOf } from "./hash-call.ts";
import { type Hash64, xxh64 } from "./xxh64.ts";

const source = { service: "default/productpage", instance: "0.25" };
const hashOf = (keys: readonly HashKey[], over: Parameters<typeof callOf>[0] = {}, seed = 0) =>
  compileCallHash(keys, source, seed)(callOf(over));

test.each<[string, HashKey, Parameters<typeof callOf>[0], string]>([
  ["a header", { header: "X-User" }, { headers: ["x-user", "jason"] }, "jason"],
  ["a header that comes twice", { header: "x-user" }, { headers: ["x-user", "a", "X-User", "b"] }, "a,b"],
  ["a cookie", { cookie: "user" }, { headers: ["cookie", "a=1; user=jason"] }, "jason"],
  ["a query parameter", { query: "user" }, { path: "/a?b=c&user=jas%6Fn&user=x" }, "jason"],
  ["the calling service", { source: "service" }, {}, "default/productpage"],
  ["the calling process", { source: "instance" }, {}, "0.25"],
])("%s is hashed by its value", (_, key, over, value) => expect(hashOf([key], over)).toEqual(xxh64(value)));

test("a call that lacks every key has no hash", () => {
  expect(hashOf([{ header: "x-user" }, { cookie: "user" }, { query: "user" }])).toBe(undefined);
});

test("several keys are combined in their order, those that a call lacks are left out", () => {
  const keys: HashKey[] = [{ header: "a" }, { header: "b" }, { header: "c" }];
  const number = ({ high, low }: Hash64) => (BigInt(high) << 32n) | BigInt(low);
  const [one, two] = [number(xxh64("1")), number(xxh64("2"))];
  const rotated = ((one << 1n) | (one >> 63n)) & ((1n << 64n) - 1n);
  const combined = hashOf(keys, { headers: ["a", "1", "c", "2"] });
  expect(combined && number(combined)).toBe(rotated ^ two);
  expect(hashOf(keys, { headers: ["a", "2", "c", "1"] })).not.toEqual(combined);
  expect(hashOf(keys, { headers: ["b", "2"] })).toEqual(xxh64("2"));
});

test("nothing after a terminal key that the call has is looked at", () => {
  const keys: HashKey[] = [{ header: "a", terminal: true }, { header: "b" }];
  expect(hashOf(keys, { headers: ["a", "1", "b", "2"] })).toEqual(xxh64("1"));
  expect(hashOf(keys, { headers: ["b", "2"] })).toEqual(xxh64("2"));
});

test("another seed, another hash", () => {
  expect(hashOf([{ source: "service" }], {}, 1)).toEqual(xxh64(source.service, 1));
});

test("a process draws what it is once, and only when a policy asks", () => {
  let drawn = 0;
  const made = hashSourceOf("default/productpage", () => ++drawn / 10);
  expect([made.service, drawn]).toEqual(["default/productpage", 0]);
  expect([made.instance, made.instance, drawn]).toEqual(["0.1", "0.1", 1]);
});
