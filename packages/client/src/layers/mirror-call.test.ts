import { FakeClock, seededRandom } from "@tulle/testing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { callOf, ScriptedReply } from "../../test/scripted.ts";
import type { Reply } from "../reply.ts";
import { prepareBody } from "../retry/replay-body.ts";
import type { Call, Send } from "../send.ts";
import { type MirrorCounters, Mirrors, mirrorCall, type ReadyMirror } from "./mirror-call.ts";

const setUp = (targets: readonly Partial<ReadyMirror>[] = [{}], sendCopy?: Send) => {
  const clock = new FakeClock();
  const counters: MirrorCounters = {
    mirrored: 0,
    mirrorsOverLimit: 0,
    mirrorsWithoutBody: 0,
    mirrorsUndiscovered: 0,
    mirrorsFailed: 0,
  };
  const asked: string[] = [];
  let learned: (() => void) | undefined;
  let refused: ((reason: Error) => void) | undefined;
  const mirrors = new Mirrors({
    clock,
    counters,
    discover: (service) => {
      asked.push(service);
      return new Promise((resolve, reject) => {
        learned = resolve;
        refused = reject;
      });
    },
  });
  const copies: Call[] = [];
  const replies: ScriptedReply[] = [];
  const answer: Send = (copy) => {
    copies.push(copy);
    const reply = new ScriptedReply(200);
    replies.push(reply);
    return Promise.resolve(reply);
  };
  const ready = targets.map(
    (target): ReadyMirror => ({
      percent: 100,
      maxInFlight: 64,
      name: "default/reviews:v2",
      service: "default/reviews",
      ready: { plan: { destination: "default/reviews", subset: "v2" }, send: sendCopy ?? answer },
      ...target,
    }),
  );
  const order: string[] = [];
  const next: Send = () => {
    order.push(`call, ${copies.length} copies before it`);
    return Promise.resolve<Reply>(new ScriptedReply(200));
  };
  const send = mirrorCall(ready, { mirrors, counters, clock, random: seededRandom(9) })(next);
  return {
    clock,
    counters,
    mirrors,
    copies,
    replies,
    asked,
    order,
    send,
    learn: () => learned?.(),
    refuse: () => refused?.(new Error("no")),
  };
};

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("a copy says what the call says, to the shadow of its host, with a life of its own", async () => {
  const { copies, replies, counters, mirrors, order, send } = setUp();
  const call = callOf({
    method: "POST",
    authority: "reviews:80",
    headers: ["x-user", "jason"],
    body: "stars",
    options: { timeout: 50, retry: 3 },
    inherited: { deadlineMs: 70, context: undefined },
  });
  call.sentPath = "/rewritten";
  call.rule = "reviews/0";
  expect((await send(call)).status).toBe(200);
  const [copy] = copies;
  expect(copy).toMatchObject({
    method: "POST",
    sentAuthority: "reviews-shadow:80",
    sentPath: "/rewritten",
    sentHeaders: ["x-user", "jason"],
    body: "stars",
    options: { retry: false },
    inherited: { deadlineMs: undefined },
    subset: "v2",
    rule: "reviews/0",
    shadow: true,
  });
  expect(copy?.cancel).not.toBe(call.cancel);
  expect(order).toEqual(["call, 0 copies before it"]);
  await settled();
  expect([replies[0]?.discarded, mirrors.size, counters.mirrored]).toEqual([true, 1, 1]);
  replies[0]?.finish();
  expect([mirrors.size, counters.mirrorsFailed]).toEqual([0, 0]);
});

test("a call's abort leaves its copy alone", async () => {
  const { copies, send } = setUp();
  const call = callOf();
  await send(call);
  call.cancel.cancel(new Error("gone"));
  expect(copies[0]?.cancel.cancelled).toBe(false);
});

test("a copy that fails is a number, and nothing to the call", async () => {
  const { counters, mirrors, send } = setUp([{}], () => Promise.reject(new Error("refused")));
  expect((await send(callOf())).status).toBe(200);
  await settled();
  expect([counters.mirrored, counters.mirrorsFailed, mirrors.size]).toEqual([1, 1, 0]);
});

test("a copy whose reply breaks off has failed too", async () => {
  const { replies, counters, send } = setUp();
  await send(callOf());
  await settled();
  replies[0]?.finish(new Error("reset"));
  expect(counters.mirrorsFailed).toBe(1);
});

test("shares hold within binomial bounds, target by target", async () => {
  const { counters, replies, send } = setUp([{ percent: 12.5 }]);
  for (let call = 0; call < 4_000; call++) {
    await send(callOf());
    await settled();
    for (const reply of replies.splice(0)) reply.finish();
  }
  expect(Math.abs(counters.mirrored - 500)).toBeLessThan(6 * Math.sqrt(4_000 * 0.125 * 0.875));
});

describe("the bound", () => {
  test("holds per destination, whatever rule sends there, and frees its places", async () => {
    const { copies, replies, counters, send } = setUp([
      { maxInFlight: 2 },
      { maxInFlight: 2, name: "default/ratings" },
    ]);
    for (let call = 0; call < 3; call++) await send(callOf());
    expect([copies.length, counters.mirrorsOverLimit]).toEqual([4, 2]);
    await settled();
    for (const reply of replies) reply.finish();
    await send(callOf());
    expect([copies.length, counters.mirrorsOverLimit]).toEqual([6, 2]);
  });
});

describe("bodies", () => {
  const posting = (body: Parameters<typeof prepareBody>[0]) => callOf({ method: "POST", ...prepareBody(body) });

  test("bytes are the copy's own: the caller may write into its own again", async () => {
    const { copies, send } = setUp();
    const bytes = Buffer.from("stars");
    await send(posting(bytes));
    bytes.fill(0);
    expect(String(copies[0]?.body)).toBe("stars");
  });

  test.each<[string, () => Parameters<typeof prepareBody>[0]]>([
    ["larger than 64 KiB", () => Buffer.alloc(65_537)],
    ["that are streams", () => new Blob(["x"]).stream() as never],
  ])("%s are not copied, and counted", async (_, make) => {
    const { copies, counters, send } = setUp();
    expect((await send(posting(make()))).status).toBe(200);
    expect([copies.length, counters.mirrorsWithoutBody]).toEqual([0, 1]);
  });

  test("an upgrade is not copied", async () => {
    const { copies, send } = setUp();
    const call = callOf();
    call.upgrade = "websocket";
    await send(call);
    expect(copies).toEqual([]);
  });
});

test("a service that is not known yet is asked for once, in the background, and again after a while", async () => {
  const { clock, asked, counters, send, refuse, learn } = setUp([{ ready: undefined, service: "default/ratings" }]);
  await send(callOf());
  await send(callOf());
  expect([asked, counters.mirrorsUndiscovered]).toEqual([["default/ratings"], 2]);
  refuse();
  await settled();
  await send(callOf());
  expect(asked.length).toBe(1);
  clock.advance(10_000);
  await send(callOf());
  expect(asked.length).toBe(2);
  learn();
  await settled();
  await send(callOf());
  expect(asked.length).toBe(3);
});

test("copies end with the mesh, and none begin after it", async () => {
  const { copies, mirrors, counters, send } = setUp([{}], undefined);
  await send(callOf());
  mirrors.close();
  expect(copies[0]?.cancel.cancelled).toBe(true);
  await send(callOf());
  expect([copies.length, counters.mirrored]).toEqual([1, 1]);
});

test("however copies end, their places are free in the end, and never more were taken than there are", async () => {
  const ending = fc.constantFrom("whole", "broken", "refused");
  await fc.assert(
    fc.asyncProperty(
      fc.array(ending, { maxLength: 60 }),
      fc.integer({ min: 1, max: 8 }),
      async (endings, maxInFlight) => {
        const open: ScriptedReply[] = [];
        let next = 0;
        const { counters, mirrors, send } = setUp([{ maxInFlight }, { maxInFlight }], () => {
          if (endings[next++ % endings.length] === "refused") return Promise.reject(new Error("refused"));
          const reply = new ScriptedReply(200);
          open.push(reply);
          return Promise.resolve(reply);
        });
        for (const [at, end] of endings.entries()) {
          await send(callOf());
          expect(mirrors.size).toBeLessThanOrEqual(maxInFlight);
          if (at % 3 === 0) await settled();
          if (at % 3 === 1) open.shift()?.finish(end === "broken" ? new Error("reset") : undefined);
        }
        await settled();
        for (const reply of open) reply.finish();
        expect([mirrors.size, counters.mirrored + counters.mirrorsOverLimit]).toEqual([0, 2 * endings.length]);
      },
    ),
    { numRuns: 60 },
  );
});
