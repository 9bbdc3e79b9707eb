import { expect, test } from "vitest";
import { startMesh } from "./support/mesh-fixture.ts";
import { reviewsPolicies } from "./support/reviews-policies.ts";
import { steadyTraffic } from "./support/traffic.ts";

const REPETITIONS = 30;

test(`one of two instances is ended by SIGTERM, ${REPETITIONS} times over: no request of any method fails`, async () => {
  await using fixture = await startMesh(reviewsPolicies({ v1: 100, v2: 0 }), { startGraceMs: 1_000 });
  await fixture.startMember({ service: "reviews", version: "v1" });
  const mesh = await fixture.join({ service: "productpage" });
  const traffic = steadyTraffic(mesh, {
    url: "http://reviews/reviews/7?delay=3",
    methods: ["GET", "POST", "PUT", "DELETE"],
    concurrency: 8,
  });
  for (let turn = 1; turn <= REPETITIONS; turn++) {
    const leaver = await fixture.startMember({ service: "reviews", version: "v1", instanceId: `leaver-${turn}` });
    await expect.poll(() => traffic.tally.pids.has(leaver.child.pid ?? 0), { timeout: 5_000 }).toBe(true);
    const ended = await leaver.end("SIGTERM");
    expect(ended).toBe("SIGTERM");
    await traffic.more(20);
    expect(traffic.tally.failures).toEqual([]);
  }
  const { requests, failures } = await traffic.stop();
  expect(failures).toEqual([]);
  expect(requests).toBeGreaterThan(REPETITIONS * 20);
});
