import { type Endpoint, effectiveOutlierDetection, isMeshError } from "@tulle/policy";
import { FakeClock } from "@tulle/testing";
import { describe, expect, test } from "vitest";
import { endpointAt } from "../../test/mesh-of-servers.ts";
import { callOf, ScriptedReply, type Step, script } from "../../test/scripted.ts";
import type { Outcome, Picker } from "../balancing/picker.ts";
import { beginAttempt, type MeshCall } from "../call.ts";
import { newFigures } from "../endpoints/endpoint-figures.ts";
import type { Candidate, EndpointSet } from "../endpoints/endpoint-set.ts";
import { OutlierDetector } from "../endpoints/outlier-detector.ts";
import type { AttemptSend } from "../send.ts";
import type { EndpointPool } from "../transport/endpoint-pool.ts";
import { pickEndpoint } from "./pick-endpoint.ts";

const candidateAt = (port: number, transport: Endpoint["transport"] = "plaintext"): Candidate => ({
  endpoint: { ...endpointAt(port), transport },
  figures: newFigures(0),
  // The dispatch, which is scripted here, is the only user of the pool.
  pool: undefined as unknown as EndpointPool,
});

const setup = (candidates: readonly Candidate[], ...steps: Step[]) => setupWith(script(...steps), candidates);

const setupWith = (next: AttemptSend, candidates: readonly Candidate[], reading: Partial<Picker> = {}) => {
  const clock = new FakeClock();
  const told: unknown[] = [];
  const picker: Picker = {
    name: "first",
    pick: (among, tried) => among.find(({ endpoint }) => tried?.has(endpoint.id) !== true) ?? among[0],
    start: ({ endpoint }, nowMs) => void told.push(["start", endpoint.port, nowMs]),
    end: ({ endpoint }, nowMs, outcome: Outcome) => void told.push(["end", endpoint.port, nowMs, outcome]),
    explain: () => [],
    ...reading,
  };
  const endpoints: EndpointSet = {
    update: () => undefined,
    subset: () => candidates,
    all: () => candidates,
    markDraining: () => undefined,
    close: () => Promise.resolve(),
  };
  const outliers = new OutlierDetector({
    policy: effectiveOutlierDetection({ kind: "Service", name: "reviews" })!,
    all: () => candidates,
    random: () => 0,
    nowMs: 0,
  });
  const send = pickEndpoint(
    { endpoints, labels: undefined, picker, hash: undefined, outliers, panicPercent: 50 },
    { clock, random: () => 0 },
    next,
  );
  return { clock, told, send };
};

describe("pickEndpoint", () => {
  test("an endpoint is in flight until the reply's body is over; its latency is the time to the headers", async () => {
    const reply = new ScriptedReply(200);
    const { clock, told, send } = setup([candidateAt(1)], reply);
    const call = callOf();
    const sending = send(call, beginAttempt(call, 0));
    await sending;
    clock.advance(70);
    expect(told).toEqual([["start", 1, 0]]);
    reply.finish();
    expect(told[1]).toEqual(["end", 1, 70, { rttMs: 0, failed: false }]);
  });

  test("a balancer that reads load reports has members asked, and is told what they say", async () => {
    const reports: unknown[] = [];
    const picker = { readsReports: true, report: (...told: readonly unknown[]) => void reports.push(told) };
    const members = [candidateAt(1, "mtls")];
    const { send } = setupWith(
      (_call, attempt) => {
        attempt.loadReport = "TEXT named_metrics.rif=3,eps=x";
        return Promise.resolve(new ScriptedReply(200));
      },
      members,
      picker,
    );
    const call = callOf();
    const attempt = beginAttempt(call, 0);
    await send(call, attempt);
    expect(attempt.headers).toEqual(["endpoint-load-metrics-format", "TEXT"]);
    expect(reports).toEqual([[members[0], 0, { inFlight: 3 }]]);
  });

  test("nobody but members is asked how busy it is, and they are not by other balancers", async () => {
    const call = callOf();
    const strangers = beginAttempt(call, 0);
    await setupWith(script(200), [candidateAt(1)], { readsReports: true }).send(call, strangers);
    const unread = beginAttempt(call, 0);
    await setupWith(script(200), [candidateAt(1, "mtls")]).send(call, unread);
    expect([strangers.headers, unread.headers]).toEqual([[], []]);
  });

  test("each attempt avoids the endpoints of the call's earlier ones", async () => {
    const { send } = setup([candidateAt(1), candidateAt(2)], 200, 200);
    const call = callOf();
    const first = beginAttempt(call, 0);
    await send(call, first);
    first.endpoint = first.chosen?.id;
    const second = beginAttempt(call, 0);
    await send(call, second);
    expect([first.chosen?.port, second.chosen?.port]).toEqual([1, 2]);
  });

  test.each([
    ["a server error", new ScriptedReply(503, { "retry-after": "2" }), { failed: true, retryAfterMs: 2_000 }],
    ["too many requests", new ScriptedReply(429, { "retry-after": "3" }), { failed: true, retryAfterMs: 3_000 }],
    ["a client error", new ScriptedReply(404), { failed: false }],
  ])("%s", async (_name, reply, outcome) => {
    const { told, send } = setup([candidateAt(1)], reply);
    const call = callOf();
    await send(call, beginAttempt(call, 0));
    reply.finish();
    expect(told[1]).toEqual(["end", 1, 0, { rttMs: 0, ...outcome }]);
  });

  test.each([
    ["the caller gave it up", new Error("enough"), false],
    ["its time ran out", "deadline", true],
  ])("an attempt that ends because %s", async (_name, reason, failed) => {
    const { told, send } = setup([candidateAt(1)], "hang");
    const call = callOf();
    const sending = send(call, beginAttempt(call, 0)).catch(() => undefined);
    const { failCall } = await import("../failure.ts");
    call.cancel.cancel(reason === "deadline" ? failCall(call, "DEADLINE_EXCEEDED", "late") : reason);
    await sending;
    expect(told[1]).toMatchObject(["end", 1, 0, { failed }]);
  });

  test("without a candidate it fails typed", async () => {
    const { send } = setup([]);
    const call = callOf();
    const error = await send(call, beginAttempt(call, 0)).catch((caught: unknown) => caught);
    expect(isMeshError(error, "NO_HEALTHY_ENDPOINT") && error.message).toContain("no registered endpoint");
  });

  test("a failure is its endpoint's alone while a sibling can be reached, and the destination's once none can", async () => {
    const broken = { code: "CONNECT_FAILED", progress: "not-sent" } as const;
    const { send } = setup([candidateAt(1), candidateAt(2)], broken, broken, 200, broken);
    const isolated: boolean[] = [];
    // Each call tries the first endpoint, then the second.
    for (const call of [callOf(), callOf()]) {
      for (const attempt of [beginAttempt(call, 0), beginAttempt(call, 0)]) {
        await send(call, attempt).catch(() => undefined);
        isolated.push(attempt.isolated);
      }
    }
    expect(isolated).toEqual([true, false, false, true]);
  });

  test("an endpoint that could not be reached is avoided by later calls while another one is left", async () => {
    const broken = { code: "CONNECT_FAILED", progress: "not-sent" } as const;
    const { clock, send } = setup([candidateAt(1), candidateAt(2)], broken, 200, 200, broken, 200);
    const chosen: (number | undefined)[] = [];
    const call = async (): Promise<void> => {
      const each = callOf();
      const attempt = beginAttempt(each, clock.now());
      await send(each, attempt).catch(() => undefined);
      chosen.push(attempt.chosen?.port);
    };
    await call();
    await call();
    await call();
    clock.advance(1_000);
    await call();
    await call();
    expect(chosen).toEqual([1, 2, 2, 1, 2]);
  });

  describe("an endpoint that fails five times in a row", () => {
    const ejected = async (...then: Step[]) => {
      const { clock, send } = setup([candidateAt(1), candidateAt(2)], 500, 500, 500, 500, 500, ...then);
      const calls: MeshCall[] = [];
      const chosen: (number | undefined)[] = [];
      const call = async (): Promise<void> => {
        const each = callOf();
        calls.push(each);
        const attempt = beginAttempt(each, clock.now());
        await send(each, attempt).catch(() => undefined);
        chosen.push(attempt.chosen?.port);
      };
      for (let count = 0; count < 5; count++) await call();
      return { clock, call, calls, chosen };
    };

    test("is left out while it is ejected, and one call probes it afterwards", async () => {
      const { clock, call, chosen } = await ejected(200, 200, 200, 200);
      await call();
      clock.advance(30_000);
      await call();
      await call();
      expect(chosen.slice(5)).toEqual([2, 1, 1]);
    });

    test("is left out for longer when its probe fails", async () => {
      const { clock, call, chosen } = await ejected(500, 200, 200);
      clock.advance(30_000);
      await call();
      clock.advance(59_999);
      await call();
      clock.advance(1);
      await call();
      expect(chosen.slice(5)).toEqual([1, 2, 1]);
    });

    test("is probed again when the probe said nothing, for its caller gave it up", async () => {
      const { clock, call, calls, chosen } = await ejected("hang", 200);
      clock.advance(30_000);
      const probing = call();
      calls.at(-1)?.cancel.cancel(new Error("enough"));
      await probing;
      await call();
      expect(chosen.slice(5)).toEqual([1, 1]);
    });
  });
});
