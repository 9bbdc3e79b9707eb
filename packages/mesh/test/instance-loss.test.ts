import { expect, test, vi } from "vitest";
import { startMesh } from "./support/mesh-fixture.ts";
import { reviewsPolicies } from "./support/reviews-policies.ts";
import { steadyTraffic } from "./support/traffic.ts";

test("one of two instances dies of SIGKILL: no GET fails, and the instance leaves the set", async () => {
  await using fixture = await startMesh(reviewsPolicies(), { startGraceMs: 1_000, disconnectGraceMs: 1_000 });
  const [doomed] = await Promise.all([
    fixture.startMember({ service: "reviews", version: "v1", instanceId: "reviews-doomed" }),
    fixture.startMember({ service: "reviews", version: "v1", instanceId: "reviews-survivor" }),
    fixture.startMember({ service: "reviews", version: "v2", instanceId: "reviews-v2" }),
  ]);
  const mesh = await fixture.join({ service: "productpage" });
  const traffic = steadyTraffic(mesh, { url: "http://reviews/reviews/7?delay=5", concurrency: 8 });
  await traffic.more(300);
  expect(traffic.tally.pids.size).toBe(3);

  await doomed.end("SIGKILL");
  await traffic.more(500);
  await vi.waitFor(
    async () => {
      const { services } = await fixture.admin.endpoints();
      const ids = services.flatMap(({ endpoints }) => endpoints.map(({ id }) => id)).sort();
      expect(ids).toEqual(["reviews-survivor", "reviews-v2"]);
    },
    { timeout: 10_000, interval: 100 },
  );
  await traffic.more(100);
  const { failures } = await traffic.stop();
  expect(failures).toEqual([]);
  const explanation = mesh.explain("http://reviews/reviews/7");
  expect(String(explanation)).not.toContain("reviews-doomed");
});

test("a call whose drawn subset has no endpoint fails with NO_HEALTHY_ENDPOINT instead of reaching another version", async () => {
  await using fixture = await startMesh(reviewsPolicies({ v1: 0, v2: 100 }));
  await fixture.startMember({ service: "reviews", version: "v1" });
  const mesh = await fixture.join({ service: "productpage" });
  await expect(mesh.fetch("http://reviews/reviews/7")).rejects.toMatchObject({
    code: "NO_HEALTHY_ENDPOINT",
    flag: "UH",
    status: 503,
  });
});
