import { gunzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { decodeServerMessage } from "./codec.ts";
import { MAX_PART_BYTES } from "./limits.ts";
import type { Part } from "./member-messages.ts";
import { packTransaction, prepareResource } from "./parts.ts";
import { ProtocolError } from "./protocol-error.ts";
import type { ResourceValue } from "./resource.ts";

const noise = (bytes: number, seed: number): string => {
  let state = seed;
  return Array.from({ length: bytes }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return String.fromCharCode(97 + ((state >>> 16) % 26));
  }).join("");
};
const bundle = (trustDomain: string, root: string): ResourceValue => ({ trustDomain, roots: [root] });
const content = { stream: "trust", revision: "e.1", full: false, removals: [], gzip: false } as const;

describe("prepareResource", () => {
  test("a small value is not compressed", () => {
    expect(prepareResource("bundle/a", bundle("a", "x"))).toEqual({
      name: "bundle/a",
      version: "WruD9elOccNNWCiA2OJ0qw",
      json: '{"roots":["x"],"trustDomain":"a"}',
    });
  });

  test("a large value is compressed", () => {
    const { gzipBase64 = "", json } = prepareResource("bundle/a", bundle("a", "x".repeat(20_000)));
    expect(gunzipSync(Buffer.from(gzipBase64, "base64")).toString()).toBe(json);
  });

  test("a value above 192 KiB is refused", () => {
    expect(() => prepareResource("bundle/a", bundle("a", "x".repeat(196_608)))).toThrow(
      new ProtocolError("too-large", "the resource bundle/a has 196640 bytes; at most 196608 are allowed"),
    );
  });
});

describe("packTransaction", () => {
  test("a small transaction is begin, one part, commit", () => {
    const upserts = [prepareResource("bundle/a", bundle("a", "x"))];
    expect(packTransaction({ ...content, upserts, removals: ["bundle/b"] }).map(decodeServerMessage)).toEqual([
      { type: "begin", stream: "trust", revision: "e.1", full: false },
      {
        type: "part",
        stream: "trust",
        revision: "e.1",
        index: 0,
        upserts: [{ name: "bundle/a", version: upserts[0]!.version, value: bundle("a", "x") }],
        removals: ["bundle/b"],
      },
      { type: "commit", stream: "trust", revision: "e.1", parts: 1 },
    ]);
  });

  test("a transaction that changes nothing has no part", () => {
    expect(packTransaction({ ...content, upserts: [] }).map(decodeServerMessage)).toEqual([
      { type: "begin", stream: "trust", revision: "e.1", full: false },
      { type: "commit", stream: "trust", revision: "e.1", parts: 0 },
    ]);
  });

  test.each([true, false])("parts stay within their bound and hold everything once, gzip %s", (gzip) => {
    const upserts = Array.from({ length: 40 }, (_, n) =>
      prepareResource(`bundle/${n}`, bundle(`${n}`, noise(30_000 + n * 4_000, n))),
    );
    const removals = Array.from({ length: 9_000 }, (_, n) => `bundle/old-${n}-${"ü".repeat(40)}`);
    const messages = packTransaction({ ...content, upserts, removals, gzip });
    expect(Math.max(...messages.map((message) => Buffer.byteLength(message)))).toBeLessThanOrEqual(MAX_PART_BYTES);
    const parts = messages.map(decodeServerMessage).filter((message): message is Part => message.type === "part");
    expect(parts.map(({ index }) => index)).toEqual(parts.map((_, index) => index));
    expect(parts.flatMap((part) => part.upserts.map(({ name }) => name))).toEqual(upserts.map(({ name }) => name));
    expect(parts.flatMap((part) => part.removals)).toEqual(removals);
    expect(parts.flatMap((part) => part.upserts).some((upsert) => upsert.gzip !== undefined)).toBe(gzip);
  });
});
