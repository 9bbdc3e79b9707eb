import type { Credentials, ServicePolicy } from "@tulle/policy";
import { createTestAuthority } from "@tulle/testing";
import { afterAll, describe, expect, test, vi } from "vitest";
import { createMesh } from "../src/create-mesh.ts";
import type { Mesh } from "../src/mesh.ts";
import { behaviours, MisbehavingInstance } from "./support/misbehaving-instance.ts";
import { type Program, startProgram } from "./support/process.ts";
import { steadyTraffic } from "./support/traffic.ts";

const authority = await createTestAuthority();
const reviews = await authority.issue({ serviceAccount: "reviews" });
const productpage = await authority.issue({ serviceAccount: "productpage" });
const URL = "http://reviews/reviews/7";

const startInstances = async (
  count: number,
  delayMs = 0,
): Promise<{ readonly program: Program; readonly ports: readonly number[] }> => {
  const program = startProgram("instances", {
    COUNT: String(count),
    DELAY_MS: String(delayMs),
    CREDENTIALS: JSON.stringify(reviews satisfies Credentials),
  });
  return { program, ports: (await program.heard("ports")).ports as number[] };
};

const callerOf = (ports: readonly number[], policy: Partial<ServicePolicy> = {}): Mesh =>
  createMesh({
    policies: [{ kind: "Service", name: "reviews", ...policy }],
    endpoints: { reviews: ports.map((port) => `127.0.0.1:${port}`) },
    service: "productpage",
    credentials: productpage,
  });

const counters = (mesh: Mesh): Record<string, number> => mesh.status.counters.client;

const good = await startInstances(4);
afterAll(() => good.program.end());

describe("one of five instances, called over mTLS with the default retries,", () => {
  test("is killed: no GET fails", async () => {
    const doomed = await startInstances(1);
    await using mesh = callerOf([...good.ports, ...doomed.ports]);
    const traffic = steadyTraffic(mesh, { url: URL, concurrency: 8 });
    await vi.waitFor(() => expect(traffic.tally.pids.size).toBe(2));
    await doomed.program.end("SIGKILL");
    await traffic.more(300);
    expect((await traffic.stop()).failures).toEqual([]);
  });

  test("is paused and comes back: no GET fails, and those that hung went elsewhere", async () => {
    const paused = await startInstances(1);
    await using _paused = paused.program;
    // So that its return shows soon: by latency, and by the default time of an ejection, it would be avoided for longer.
    await using mesh = callerOf([...good.ports, ...paused.ports], {
      balancer: { algorithm: "round-robin" },
      outlierDetection: { baseEjectionTime: "500ms" },
    });
    const traffic = steadyTraffic(mesh, { url: URL, concurrency: 8 });
    await vi.waitFor(() => expect(traffic.tally.pids.size).toBe(2));
    paused.program.child.kill("SIGSTOP");
    await vi.waitFor(() => expect(counters(mesh).silences).toBeGreaterThan(0), { timeout: 10_000 });
    await traffic.more(100);
    paused.program.child.kill("SIGCONT");
    traffic.tally.pids.clear();
    await vi.waitFor(() => expect(traffic.tally.pids.size).toBe(2), { timeout: 10_000 });
    expect((await traffic.stop()).failures).toEqual([]);
  }, 30_000);

  test("is slow: no GET fails, and it gets less than its share", async () => {
    const slow = await startInstances(1, 100);
    await using _slow = slow.program;
    await using mesh = callerOf([...good.ports, ...slow.ports]);
    const perInstance = new Map<number, number>();
    for (let call = 0; call < 150; call++) {
      const { pid } = (await (await mesh.fetch(URL)).json()) as { pid: number };
      perInstance.set(pid, (perInstance.get(pid) ?? 0) + 1);
    }
    expect(perInstance.get(slow.program.child.pid!) ?? 0).toBeLessThan(15);
  });

  test("goes away and comes back again and again: no GET fails", async () => {
    await using flapping = await MisbehavingInstance.start(reviews);
    await using mesh = callerOf([...good.ports, flapping.port]);
    const traffic = steadyTraffic(mesh, { url: URL, concurrency: 8 });
    for (let flap = 0; flap < 5; flap++) {
      await traffic.more(40);
      await flapping.goAway();
      await traffic.more(40);
      await flapping.comeBack();
    }
    expect((await traffic.stop()).failures).toEqual([]);
  });

  test.each([
    "half-closes without an answer and goes on reading",
    "closes without an answer",
    "answers garbage",
    "cuts its answer within the headers",
  ] as const)("%s: no GET fails", async (how) => {
    await using bad = await MisbehavingInstance.start(reviews, behaviours[how]);
    await using mesh = callerOf([...good.ports, bad.port]);
    const traffic = steadyTraffic(mesh, { url: URL, concurrency: 4 });
    await traffic.more(250);
    const { failures } = await traffic.stop();
    expect(failures).toEqual([]);
    expect(bad.asked).toBeGreaterThan(0);
  });

  // Its headers were the caller's already: what followed cannot be taken back, and nothing else may be put in its place.
  test.each(["cuts a body of known length", "cuts a chunked body"] as const)(
    "%s: whoever reads that body gets REPLY_BROKEN, and nobody else anything",
    async (how) => {
      await using bad = await MisbehavingInstance.start(reviews, behaviours[how]);
      await using mesh = callerOf([...good.ports, bad.port]);
      const outcomes = new Map<string, number>();
      for (let call = 0; call < 100; call++) {
        const outcome = await mesh.fetch(URL).then(async (response) => {
          expect(response.status).toBe(200);
          return response.json().then(
            () => "whole",
            (error: { code?: string }) => error.code ?? String(error),
          );
        });
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }
      expect([...outcomes.keys()].sort()).toEqual(["REPLY_BROKEN", "whole"]);
      expect(outcomes.get("REPLY_BROKEN")).toBe(bad.asked);
    },
  );
});

describe("a call that must not be repeated ends in its own error within its deadline when its instance", () => {
  /** Larger than what is kept for another attempt. */
  const stream = (): ReadableStream<Uint8Array> =>
    new ReadableStream({
      start: (controller) => {
        for (let chunk = 0; chunk < 4; chunk++) controller.enqueue(new Uint8Array(50_000));
        controller.close();
      },
    });

  test.each([
    ["half-closes without an answer and goes on reading", "CONNECTION_TERMINATED"],
    ["closes without an answer", "CONNECTION_TERMINATED"],
    ["answers garbage", "REPLY_BROKEN"],
    ["cuts its answer within the headers", /REPLY_BROKEN|CONNECTION_TERMINATED/],
  ] as const)("%s", async (how, code) => {
    await using bad = await MisbehavingInstance.start(reviews, behaviours[how]);
    await using mesh = callerOf([bad.port]);
    const error = {
      code: typeof code === "string" ? code : expect.stringMatching(code),
      attempts: [{ progress: "sent" }],
    };
    await expect(mesh.fetch(URL, { method: "POST", body: "a review" })).rejects.toMatchObject(error);
    expect(bad.asked).toBe(1);
    const upload = { method: "PUT", body: stream(), duplex: "half" } as RequestInit;
    await expect(mesh.fetch(URL, upload)).rejects.toMatchObject({ code: error.code });
    expect(bad.asked).toBe(2);
  });

  test("is paused", async () => {
    const paused = await startInstances(1);
    await using _ = paused.program;
    await using mesh = callerOf(paused.ports);
    await (await mesh.fetch(URL)).text();
    paused.program.child.kill("SIGSTOP");
    const post = mesh.fetch(URL, { method: "POST", body: "a review", mesh: { timeout: "500ms" } });
    await expect(post).rejects.toMatchObject({
      code: "DEADLINE_EXCEEDED",
      status: 504,
      attempts: [{ progress: "sent" }],
    });
    // Another connection cannot be made.
    const next = mesh.fetch(URL, { method: "POST", body: "a review", mesh: { retry: false } });
    await expect(next).rejects.toMatchObject({ code: "CONNECT_FAILED" });
  }, 15_000);
});
