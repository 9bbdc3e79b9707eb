import { expect, test } from "vitest";
import { startMesh } from "./support/mesh-fixture.ts";
import { reviewsPolicies } from "./support/reviews-policies.ts";

const CALLS = 2_000;
const CONCURRENCY = 10;

test(`${CALLS} calls that mix the short and the long name make no more handshakes than connections`, async () => {
  await using fixture = await startMesh(reviewsPolicies({ v1: 100, v2: 0 }));
  await fixture.startMember({ service: "reviews" });
  const mesh = await fixture.join({ service: "productpage" });
  const names = ["reviews", "reviews.default", "reviews.default.svc.cluster.local"];
  let next = 0;
  let good = 0;
  await Promise.all(
    Array.from({ length: CONCURRENCY }, async () => {
      while (next < CALLS) {
        const name = names[next++ % names.length] ?? "reviews";
        const { statusCode, body } = await mesh.request(`http://${name}/reviews/7`);
        await body.dump();
        if (statusCode === 200) good += 1;
      }
    }),
  );
  expect(good).toBe(CALLS);
  const { handshakes, connections } = mesh.status.counters.client;
  expect(handshakes).toBeGreaterThan(0);
  expect(handshakes).toBe(connections);
  // A call that follows at once may find its predecessor's connection not yet free, and open a second one.
  expect(handshakes).toBeLessThanOrEqual(2 * CONCURRENCY);
});
