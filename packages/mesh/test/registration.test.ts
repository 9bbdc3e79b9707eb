import { createServer } from "node:http";
import { expect, test } from "vitest";
import { startMesh } from "./support/mesh-fixture.ts";

test("a service that starts before its policy is told what to apply, and can listen once it is", async () => {
  await using fixture = await startMesh([]);
  const mesh = await fixture.join({ service: "reviews", instanceId: "reviews-0" });
  const app = createServer((_request, response) => response.end("here"));
  const listening = { port: 0, host: "127.0.0.1", signals: false };
  await expect(mesh.listen(app, listening)).rejects.toThrow(
    "JOIN_REFUSED: the config-server refused to register reviews-0 for default/reviews: not-allowed: " +
      "spiffe://cluster.local/ns/default/sa/reviews may not register instances of default/reviews: " +
      "there is no Service policy default/reviews; " +
      "apply a Service policy named reviews that lists the service account reviews, " +
      "such as { kind: Service, name: reviews, serviceAccounts: [reviews] }",
  );

  const { revision } = await fixture.admin.apply([{ kind: "Service", name: "reviews", serviceAccounts: ["reviews"] }]);
  await expect.poll(() => mesh.status.revision).toBe(revision);
  // What was given up does not come true by itself.
  expect((await fixture.admin.endpoints()).services).toEqual([]);
  await mesh.listen(app, listening);
  expect((await fixture.admin.endpoints()).services).toMatchObject([
    { service: "default/reviews", endpoints: [{ id: "reviews-0" }] },
  ]);
});
