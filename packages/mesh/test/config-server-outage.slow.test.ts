import { expect, test, vi } from "vitest";
import { startMesh } from "./support/mesh-fixture.ts";
import { reviewsPolicies } from "./support/reviews-policies.ts";
import { steadyTraffic } from "./support/traffic.ts";

const OUTAGE_MS = 10_000;

test("a config-server that is killed for 10 s and restarted on its store costs no request, no endpoint and no resend", async () => {
  await using fixture = await startMesh(reviewsPolicies());
  await Promise.all([
    fixture.startMember({ service: "reviews", version: "v1" }),
    fixture.startMember({ service: "reviews", version: "v1" }),
    fixture.startMember({ service: "reviews", version: "v2" }),
  ]);
  const mesh = await fixture.join({ service: "productpage" });
  const traffic = steadyTraffic(mesh, { url: "http://reviews/reviews/7", methods: ["GET", "POST"] });
  await traffic.more(200);
  const before = mesh.status;
  const endpointsBefore = (await fixture.admin.endpoints()).services;

  await fixture.killConfigServer();
  await expect.poll(() => mesh.status.state).toBe("disconnected");
  await new Promise((resolve) => setTimeout(resolve, OUTAGE_MS));
  await traffic.more(200);
  await fixture.startConfigServer();
  await vi.waitFor(
    async () => {
      const { members } = await fixture.admin.members();
      expect(members.filter((member) => member.connected)).toHaveLength(4);
    },
    { timeout: 20_000, interval: 200 },
  );
  await traffic.more(200);
  const { requests, failures } = await traffic.stop();

  expect(failures).toEqual([]);
  expect(requests).toBeGreaterThan(600);
  expect((await fixture.admin.endpoints()).services).toEqual(endpointsBefore);
  expect(mesh.status.revision).toBe(before.revision);
  expect((await fixture.admin.status()).revision).toBe(before.revision);
  // Resources that came again although they were held would show here.
  expect(mesh.status.counters.agent.resourcesReceived).toBe(before.counters.agent.resourcesReceived);
});
