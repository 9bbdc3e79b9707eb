import { expect, test } from "vitest";
import { startMesh } from "./support/mesh-fixture.ts";
import { reviewsPolicies } from "./support/reviews-policies.ts";
import { steadyTraffic } from "./support/traffic.ts";

const LIFE_MS = 6_000;
const TRAFFIC_MS = 30_000;

test("certificates of 6 s life under 30 s of traffic: no request fails, and both sides see at least 4 generations", async () => {
  await using fixture = await startMesh(reviewsPolicies(), { certificateTtlMs: LIFE_MS });
  const [v1] = await Promise.all([
    fixture.startMember({ service: "reviews", version: "v1" }),
    fixture.startMember({ service: "reviews", version: "v2" }),
  ]);
  const mesh = await fixture.join({ service: "productpage" });
  const traffic = steadyTraffic(mesh, { url: "http://reviews/reviews/7", methods: ["GET", "POST"] });
  await new Promise((resolve) => setTimeout(resolve, TRAFFIC_MS));
  const { failures, requests } = await traffic.stop();
  expect(failures).toEqual([]);
  expect(requests).toBeGreaterThan(1_000);
  expect(mesh.status.credentialGeneration).toBeGreaterThanOrEqual(4);
  const { status } = await v1.ask({ ask: "status" }, "status");
  expect((status as typeof mesh.status).credentialGeneration).toBeGreaterThanOrEqual(4);
});
