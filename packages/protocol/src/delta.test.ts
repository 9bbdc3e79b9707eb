import { fc, test as property } from "@fast-check/vitest";
import { expect, test } from "vitest";
import { delta } from "./delta.ts";

test("names what is new, what is another version, and what is no longer wanted", () => {
  const held = { same: "1", changed: "1", gone: "1" };
  const wanted = new Map([
    ["same", { version: "1" }],
    ["changed", { version: "2" }],
    ["new", { version: "1" }],
  ]);
  expect(delta(held, wanted)).toEqual({ upserts: ["changed", "new"], removals: ["gone"] });
});

test("a name out of the prototype is not held", () => {
  expect(delta({}, new Map([["constructor", { version: "1" }]]))).toEqual({ upserts: ["constructor"], removals: [] });
});

const versions = fc.dictionary(fc.string({ maxLength: 2 }), fc.string({ maxLength: 1 }), { noNullPrototype: true });

property.prop([versions, versions])("applied to what is held, gives what is wanted", (held, wanted) => {
  const { upserts, removals } = delta(
    held,
    new Map(Object.entries(wanted).map(([name, version]) => [name, { version }])),
  );
  const result = new Map(Object.entries(held));
  for (const name of removals) result.delete(name);
  for (const name of upserts) result.set(name, wanted[name] ?? "");
  expect(result).toEqual(new Map(Object.entries(wanted)));
});
