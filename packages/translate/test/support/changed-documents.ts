import fc from "fast-check";
import { sourceKinds } from "../../src/translate.ts";

// Documents as nobody writes them on purpose: those of people with parts that are missing, doubled, moved or of another type, and
// values of any form under the names of fields.

type Path = readonly (string | number)[];

/** Words that mean something somewhere, and values that break readers. */
const leaf: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(
    ...[
      "",
      " ",
      "*",
      "**",
      "*.example.com",
      ".",
      "~",
      "/",
      "//",
      "/{*}",
      "a,b",
      "reviews",
      "ratings",
      "default",
      "mesh",
    ],
    ...["reviews.default.svc.cluster.local", "istio-system", "cluster.local/ns/default/sa/reviews", "__proto__"],
    ...[
      "constructor",
      "toString",
      "5s",
      "0s",
      "-1s",
      "1h30m",
      "1.5ms",
      "9999999h",
      "100%",
      "80",
      "-1",
      "65536",
      "1e400",
    ],
    ...[
      "GET",
      "STRICT",
      "UNSET",
      "ISTIO_MUTUAL",
      "(",
      "[a-",
      "(a+)+$",
      "10.0.0.0/8",
      "::1/129",
      "\u0000",
      "é",
      "\ud800",
    ],
    ...[0, -0, -1, 1, 100, 101, 65_535, 65_536, 2 ** 31, 2 ** 53, 1e308, 0.1, Number.NaN, Number.POSITIVE_INFINITY],
    ...[true, false, null],
  ),
  fc.string({ maxLength: 12 }),
  fc.constant("x".repeat(300)),
);

/** Any value of YAML, its maps under some names. */
const valueUnder = (names: readonly string[]): fc.Arbitrary<unknown> =>
  fc.letrec((tie) => ({
    value: fc.oneof({ maxDepth: 4, withCrossShrink: true }, leaf, tie("list"), tie("map")),
    list: fc.array(tie("value"), { maxLength: 3 }),
    map: fc.dictionary(fc.constantFrom(...names), tie("value"), { maxKeys: 4 }),
  })).value;

const HOSTILE_NAMES = ["__proto__", "constructor", "hasOwnProperty", "", "0"];

const namesOf = (kind: string): readonly string[] => {
  const messages = sourceKinds.filter((each) => each.kind === kind).flatMap((each) => each.messages);
  return [...new Set([...messages.flatMap(({ fields }) => Object.keys(fields)), ...HOSTILE_NAMES])];
};

/** Documents of a kind that hold anything under the names of the kind's fields. */
export const anyDocument: fc.Arbitrary<unknown> = fc
  .constantFrom(...sourceKinds.map(({ group, kind, versions }) => ({ group, kind, versions })))
  .chain(({ group, kind, versions }) => {
    const value = valueUnder(namesOf(kind));
    const spec = fc.dictionary(fc.constantFrom(...namesOf(kind)), value, { maxKeys: 6 });
    return fc.record({
      apiVersion: fc.constantFrom(...versions).map((version) => (group === "" ? version : `${group}/${version}`)),
      kind: fc.constant(kind),
      metadata: fc.oneof(
        { weight: 4, arbitrary: fc.constantFrom({ name: "reviews" }, { name: "istio", namespace: "istio-system" }) },
        { weight: 1, arbitrary: fc.record({ name: leaf, namespace: leaf, labels: value, annotations: value }) },
      ),
      spec: fc.oneof({ weight: 5, arbitrary: spec }, { weight: 1, arbitrary: value }),
    });
  });

/** One thing that is done to a document. */
type Change =
  | { readonly op: "drop" | "double" | "nest" | "flatten"; readonly at: number }
  | { readonly op: "set"; readonly at: number; readonly value: unknown }
  | { readonly op: "swap" | "rename"; readonly at: number; readonly with: number };

const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ op: fc.constantFrom("drop", "double", "nest", "flatten"), at: fc.nat(10_000) }),
  fc.record({
    op: fc.constant("set"),
    at: fc.nat(10_000),
    value: valueUnder(["name", "host", "exact", "value", "mode"]),
  }),
  fc.record({ op: fc.constantFrom("swap", "rename"), at: fc.nat(10_000), with: fc.nat(10_000) }),
);

/** Documents that people wrote, each with up to `most` changes. */
export const changedDocument = (documents: readonly object[], most: number): fc.Arbitrary<unknown> =>
  fc
    .tuple(fc.constantFrom(...documents), fc.array(change, { maxLength: most }))
    .map(([document, changes]) => changes.reduce(changed, structuredClone(document) as unknown));

/** Ways to what stands below the names by which a document is known. */
const pathsIn = (value: unknown, path: Path = []): readonly Path[] => {
  if (typeof value !== "object" || value === null) return path.length === 0 ? [] : [path];
  const below = Object.entries(value).flatMap(([key, each]): readonly Path[] =>
    path.length === 0 && (key === "apiVersion" || key === "kind")
      ? []
      : pathsIn(each, [...path, Array.isArray(value) ? Number(key) : key]),
  );
  return path.length === 0 ? below : [path, ...below];
};

const changed = (document: unknown, change: Change): unknown => {
  const paths = pathsIn(document);
  const path = paths[change.at % Math.max(1, paths.length)];
  const key = path?.at(-1);
  if (path === undefined || key === undefined) return document;
  const holder = at(document, path.slice(0, -1));
  const here = at(document, path);
  switch (change.op) {
    case "drop":
      if (Array.isArray(holder)) holder.splice(Number(key), 1);
      else Reflect.deleteProperty(holder as object, key);
      break;
    case "double":
      if (Array.isArray(holder)) holder.push(structuredClone(here));
      else put(holder, key, [here, structuredClone(here)]);
      break;
    case "nest":
      put(holder, key, { [String(key)]: here });
      break;
    case "flatten":
      put(holder, key, typeof here === "object" ? JSON.stringify(here) : [here]);
      break;
    case "set":
      put(holder, key, change.value);
      break;
    default: {
      const other = paths[change.with % paths.length];
      const otherKey = other?.at(-1);
      if (other === undefined || otherKey === undefined) break;
      const otherHolder = at(document, other.slice(0, -1));
      const there = structuredClone(at(document, other));
      if (change.op === "swap") {
        put(otherHolder, otherKey, structuredClone(here));
        put(holder, key, there);
      } else if (!Array.isArray(holder)) {
        Reflect.deleteProperty(holder as object, key);
        put(holder, otherKey, here);
      }
    }
  }
  return document;
};

const at = (value: unknown, path: Path): unknown =>
  path.reduce<unknown>((holder, key) => (holder as Record<string | number, unknown>)?.[key], value);

const put = (holder: unknown, key: string | number, value: unknown): void => {
  if (typeof holder !== "object" || holder === null) return;
  // As a reader of YAML does it, also for the name of a prototype.
  Object.defineProperty(holder, key, { value, writable: true, enumerable: true, configurable: true });
};
