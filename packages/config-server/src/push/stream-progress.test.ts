import { type PreparedResource, ProtocolError } from "@tulle/protocol";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { acknowledged, covers, mayAdvance, nextTransaction, progressOf, refused, sent } from "./stream-progress.ts";

const wantedOf = (versions: Readonly<Record<string, string>>): ReadonlyMap<string, PreparedResource> =>
  new Map(Object.entries(versions).map(([name, version]) => [name, { name, version, json: "{}" }]));

const holding = (revision: `${string}.${number}`, resources: Readonly<Record<string, string>>) =>
  progressOf({ revision, seen: revision, resources });

describe("nextTransaction", () => {
  it("is everything for a member that holds nothing, or something of another epoch", () => {
    for (const progress of [progressOf(undefined), holding("old.9", { a: "1", x: "1" })]) {
      const next = nextTransaction("policy", progress, "e.1", wantedOf({ a: "1", b: "1" }));
      expect(next).toMatchObject({ revision: "e.1", full: true, removals: [] });
      expect(next?.upserts.map(({ name }) => name)).toEqual(["a", "b"]);
    }
  });

  it("is what differs for a member that holds something", () => {
    const next = nextTransaction(
      "policy",
      holding("e.1", { a: "1", b: "1", c: "1" }),
      "e.2",
      wantedOf({ a: "1", b: "2", d: "1" }),
    );
    expect(next).toMatchObject({ full: false, removals: ["c"] });
    expect(next?.upserts.map(({ name }) => name)).toEqual(["b", "d"]);
  });

  it("is nothing for a member that is up to date", () => {
    expect(nextTransaction("policy", holding("e.2", { a: "1" }), "e.2", wantedOf({ a: "1" }))).toBeUndefined();
  });

  it("is an empty transaction for a policy revision that changes nothing, and nothing on the other streams", () => {
    const progress = holding("e.1", { a: "1" });
    expect(nextTransaction("policy", progress, "e.2", wantedOf({ a: "1" }))).toMatchObject({
      upserts: [],
      removals: [],
    });
    expect(nextTransaction("endpoints", progress, "e.2", wantedOf({ a: "1" }))).toBeUndefined();
  });

  it("differs at the same revision when the member subscribed to more", () => {
    const next = nextTransaction("endpoints", holding("e.1", { a: "1" }), "e.1", wantedOf({ a: "1", b: "1" }));
    expect(next).toMatchObject({ revision: "e.1", full: false, upserts: [{ name: "b" }] });
  });
});

describe("the progress of a stream", () => {
  const wanted = wantedOf({ a: "2", b: "1" });
  const before = holding("e.1", { a: "1", x: "1" });
  const transaction = nextTransaction("policy", before, "e.2", wanted)!;
  const open = sent(before, transaction);

  it("waits for the answer to what was sent", () => {
    expect(mayAdvance(open, "e.3")).toBe(false);
    expect(nextTransaction("policy", open, "e.3", wanted)).toBeUndefined();
  });

  it("holds after an ACK what was sent and what was not removed", () => {
    const after = acknowledged("policy", open, "e.2");
    expect(after).toEqual({ revision: "e.2", resources: { a: "2", b: "1" }, open: undefined, refusal: undefined });
    expect(nextTransaction("policy", after, "e.2", wanted)).toBeUndefined();
  });

  it("holds after an ACK of a full transaction nothing else", () => {
    const full = sent(before, nextTransaction("policy", before, "f.1", wantedOf({ b: "1" }))!);
    expect(acknowledged("policy", full, "f.1").resources).toEqual({ b: "1" });
  });

  it("holds after a NACK what it held, and waits for another revision", () => {
    const after = refused("policy", open, "e.2", "no");
    expect(after).toMatchObject({
      revision: "e.1",
      resources: before.resources,
      refusal: { revision: "e.2", reason: "no" },
    });
    expect(mayAdvance(after, "e.2")).toBe(false);
    expect(nextTransaction("policy", after, "e.3", wanted)).toMatchObject({ revision: "e.3", removals: ["x"] });
    const good = acknowledged("policy", sent(after, { ...transaction, revision: "e.3" }), "e.3");
    expect(good.refusal).toBeUndefined();
  });

  it.each([
    ["another revision", () => acknowledged("policy", open, "e.1"), "answer to e.1 on policy, where e.2 is open"],
    ["nothing", () => refused("trust", before, "e.1", ""), "answer to e.1 on trust, where nothing is open"],
  ])("refuses an answer to %s", (_, answer, message) => {
    expect(answer).toThrow(new ProtocolError("wrong-order", message));
  });
});

describe("whatever is published and however the member answers", () => {
  const content = fc.dictionary(fc.constantFrom("a", "b", "c", "d"), fc.constantFrom("1", "2", "3"));
  const step = fc.oneof(
    fc.record({ publish: content, newEpoch: fc.boolean() }),
    fc.constantFrom("ack" as const, "nack" as const),
  );

  it("brings it to the latest with at most two more transactions", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        let [epoch, number] = [1, 1];
        let wanted = wantedOf({});
        let progress = progressOf(undefined);
        const revision = () => `e${epoch}.${number}` as const;
        const advance = () => {
          const next = nextTransaction("policy", progress, revision(), wanted);
          if (next !== undefined) progress = sent(progress, next);
        };
        const answer = (how: "ack" | "nack") => {
          if (progress.open === undefined) return;
          const at = progress.open.revision;
          progress = how === "ack" ? acknowledged("policy", progress, at) : refused("policy", progress, at, "no");
          advance();
        };
        for (const each of steps) {
          if (typeof each === "string") answer(each);
          else {
            if (each.newEpoch) epoch++;
            number++;
            wanted = wantedOf(each.publish);
            advance();
          }
        }
        number++;
        advance();
        answer("ack");
        answer("ack");
        expect(progress).toEqual({
          revision: revision(),
          resources: Object.fromEntries([...wanted].map(([name, { version }]) => [name, version])),
          open: undefined,
          refusal: undefined,
        });
      }),
    );
  });
});

describe("covers", () => {
  it.each([
    ["e.2", "e.1", true],
    ["e.1", "e.1", true],
    ["e.1", "e.2", false],
    ["f.9", "e.1", false],
    ["e.10", "e.9", true],
  ] as const)("%s covers %s: %s", (a, b, expected) => {
    expect(covers(a, b)).toBe(expected);
  });
});
