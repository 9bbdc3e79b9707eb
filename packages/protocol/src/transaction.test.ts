import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import type { Begin, Commit, Part } from "./member-messages.ts";
import { ProtocolError } from "./protocol-error.ts";
import type { ResourceUpsert } from "./resource.ts";
import type { Revision } from "./stream.ts";
import {
  addPart,
  beginTransaction,
  commitTransaction,
  emptyStream,
  type OpenTransaction,
  type StreamState,
} from "./transaction.ts";

const begin = (revision: Revision, full = false): Begin => ({ type: "begin", stream: "trust", revision, full });
const part = (revision: Revision, index: number, content: Partial<Part> = {}): Part => ({
  type: "part",
  stream: "trust",
  revision,
  index,
  upserts: [],
  removals: [],
  ...content,
});
const commit = (revision: Revision, parts: number): Commit => ({ type: "commit", stream: "trust", revision, parts });
const bundle = (trustDomain: string, version: string): ResourceUpsert => ({
  name: `bundle/${trustDomain}`,
  version,
  value: { trustDomain, roots: [version] },
});

const run = (held: StreamState, opening: Begin, parts: readonly Partial<Part>[]) => {
  let open: OpenTransaction = beginTransaction(held, undefined, opening);
  for (const [index, content] of parts.entries()) open = addPart(open, part(opening.revision, index, content), 10);
  return commitTransaction(held, open, commit(opening.revision, parts.length));
};

const taken = (held: StreamState, opening: Begin, parts: readonly Partial<Part>[]): StreamState => {
  const committed = run(held, opening, parts);
  expect(committed.outcome).toBe("taken");
  return committed.state;
};

const held = taken(emptyStream, begin("e.5", true), [{ upserts: [bundle("a", "1")] }, { upserts: [bundle("b", "1")] }]);

describe("a transaction", () => {
  test("puts its parts together at the commit", () => {
    expect(held).toEqual({
      revision: "e.5",
      seen: "e.5",
      resources: new Map([
        ["bundle/a", { version: "1", value: { trustDomain: "a", roots: ["1"] } }],
        ["bundle/b", { version: "1", value: { trustDomain: "b", roots: ["1"] } }],
      ]),
    });
  });

  test("changes only what it names", () => {
    const next = run(held, begin("e.6"), [{ upserts: [bundle("b", "2"), bundle("c", "1")], removals: ["bundle/x"] }]);
    expect(next).toMatchObject({ outcome: "taken", changed: ["bundle/b", "bundle/c"] });
    expect(next.state.resources.get("bundle/a")).toBe(held.resources.get("bundle/a"));
    expect([...next.state.resources.keys()]).toEqual(["bundle/a", "bundle/b", "bundle/c"]);
  });

  test("that is full drops what it does not name and keeps the identity of what it repeats", () => {
    const next = run(held, begin("f.1", true), [{ upserts: [bundle("a", "1")] }]);
    expect(next).toMatchObject({ outcome: "taken", changed: ["bundle/b"] });
    expect([...next.state.resources]).toEqual([["bundle/a", held.resources.get("bundle/a")]]);
    expect(next.state.resources.get("bundle/a")).toBe(held.resources.get("bundle/a"));
  });

  test("may repeat the position that is held: subscriptions change what is sent, not the revision", () => {
    expect(taken(held, begin("e.5"), [{ upserts: [bundle("c", "1")] }]).resources.size).toBe(3);
  });

  test("unpacks what is compressed", () => {
    const gzip = gzipSync(JSON.stringify({ trustDomain: "z", roots: ["1"] })).toString("base64");
    const next = taken(held, begin("e.6"), [{ upserts: [{ name: "bundle/z", version: "1", gzip }] }]);
    expect(next.resources.get("bundle/z")?.value).toEqual({ trustDomain: "z", roots: ["1"] });
  });

  test("keeps a resource of a kind that this version does not know", () => {
    const upserts = [{ name: "jwks/x", version: "1", value: { anything: 1 } } as unknown as ResourceUpsert];
    expect(taken(held, begin("e.6"), [{ upserts }]).resources.get("jwks/x")?.value).toEqual({ anything: 1 });
  });
});

describe("a transaction is refused whole, and the stream keeps what it held, for", () => {
  const compressed = (text: string): string => gzipSync(text).toString("base64");
  test.each<[title: string, upsert: object, reason: string]>([
    [
      "a value of the wrong shape",
      { name: "bundle/a", version: "2", value: { trustDomain: "a", roots: "1" } },
      'bundle/a.roots: expected a list of at most 100, got "1"',
    ],
    [
      "a policy of another kind",
      { name: "mesh", version: "2", value: { kind: "Route", name: "mesh" } },
      'mesh.kind: expected Mesh, got "Route"',
    ],
    ["no gzip", { name: "bundle/a", version: "2", gzip: "AAAA" }, "bundle/a: not the gzip of at most 196608 bytes"],
    [
      "a gzip that grows too large",
      { name: "bundle/a", version: "2", gzip: compressed("x".repeat(196_609)) },
      "bundle/a: not the gzip of at most 196608 bytes",
    ],
    [
      "a gzip of something else than JSON",
      { name: "bundle/a", version: "2", gzip: compressed("{") },
      "bundle/a: what was compressed is not JSON",
    ],
  ])("%s", (_title, upsert, reason) => {
    const committed = run(held, begin("e.6"), [{ upserts: [bundle("b", "2"), upsert as ResourceUpsert] }]);
    expect(committed).toEqual({
      outcome: "refused",
      state: { ...held, seen: "e.6" },
      reason,
      resource: (upsert as ResourceUpsert).name,
    });
  });
});

describe("the wrong order", () => {
  const open = beginTransaction(held, undefined, begin("e.6"));
  const withPart = addPart(open, part("e.6", 0), 10);
  const seen = { ...held, seen: "e.9" } as const;
  test.each<[title: string, act: () => unknown, code: string, message: string]>([
    [
      "begin twice",
      () => beginTransaction(held, open, begin("e.7")),
      "wrong-order",
      "begin e.7 on trust while e.6 is open",
    ],
    [
      "begin before what is held",
      () => beginTransaction(held, undefined, begin("e.4")),
      "behind",
      "begin e.4 on trust after e.5 was seen",
    ],
    [
      "begin before what was refused",
      () => beginTransaction(seen, undefined, begin("e.8")),
      "behind",
      "begin e.8 on trust after e.9 was seen",
    ],
    [
      "a new epoch that is not full",
      () => beginTransaction(held, undefined, begin("f.9")),
      "wrong-order",
      "begin f.9 on trust is of another epoch than e.5 and not full",
    ],
    [
      "part without begin",
      () => addPart(undefined, part("e.6", 0), 10),
      "wrong-order",
      "part of e.6 on trust without a begin",
    ],
    [
      "part of another",
      () => addPart(open, part("e.7", 0), 10),
      "wrong-order",
      "part of e.7 on trust while e.6 is open",
    ],
    [
      "part after a gap",
      () => addPart(withPart, part("e.6", 2), 10),
      "wrong-order",
      "part 2 of e.6 came in place of 1",
    ],
    ["part twice", () => addPart(withPart, part("e.6", 0), 10), "wrong-order", "part 0 of e.6 came in place of 1"],
    [
      "commit without begin",
      () => commitTransaction(held, undefined, commit("e.6", 0)),
      "wrong-order",
      "commit of e.6 on trust without a begin",
    ],
    [
      "commit with another count",
      () => commitTransaction(held, withPart, commit("e.6", 2)),
      "wrong-order",
      "commit e.6 counts 2 parts, 1 came",
    ],
    [
      "too many parts",
      () => addPart(withPart, part("e.6", 1), 10, { maxParts: 1, maxBytes: 1_000 }),
      "too-large",
      "the transaction e.6 has more than 1 parts or 1000 bytes",
    ],
    [
      "too many bytes",
      () => addPart(withPart, part("e.6", 1), 991, { maxParts: 9, maxBytes: 1_000 }),
      "too-large",
      "the transaction e.6 has more than 9 parts or 1000 bytes",
    ],
  ])("%s", (_title, act, code, message) => {
    expect(act).toThrow(new ProtocolError(code as ProtocolError["code"], message));
  });
});
