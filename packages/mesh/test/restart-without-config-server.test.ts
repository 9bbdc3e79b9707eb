import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startMesh } from "./support/mesh-fixture.ts";
import { reviewsPolicies } from "./support/reviews-policies.ts";

test("a member restarted without its config-server serves and calls on its last good snapshot and certificate", async () => {
  await using fixture = await startMesh([
    ...reviewsPolicies({ v1: 100, v2: 0 }),
    { kind: "Service", name: "ratings" },
    { kind: "Route", name: "ratings", services: ["ratings"], rules: [{ timeout: "5s" }] },
  ]);
  const stateDir = await fixture.folder();
  const token = await fixture.token("reviews");
  const member = { service: "reviews", instanceId: "reviews-0", stateDir, token };
  const first = await fixture.startMember(member);
  await fixture.startMember({ service: "ratings" });
  const { port } = await first.heard("port");
  const mesh = await fixture.join({ service: "productpage" });
  expect((await mesh.fetch("http://reviews/reviews/7")).status).toBe(200);
  expect(await first.ask({ ask: "fetch", url: "http://ratings/7" }, "fetched")).toMatchObject({
    fetched: { status: 200 },
  });

  // What was learned is on disk a moment later; a member killed before would have to learn it again.
  const kept = join(stateDir, "member-0", "resources.json");
  await expect.poll(() => readFile(kept, "utf8").catch(() => "")).toContain("endpoints/default/ratings/");

  await fixture.killConfigServer();
  await first.end("SIGKILL");
  const second = await fixture.startMember({ ...member, port: Number(port), readyTimeout: "500ms" });

  const answer = await mesh.fetch("http://reviews/reviews/7");
  expect(((await answer.json()) as { pid: number }).pid).toBe(second.child.pid);
  expect(await second.ask({ ask: "fetch", url: "http://ratings/7" }, "fetched")).toMatchObject({
    fetched: { status: 200 },
  });
  const { status } = await second.ask({ ask: "status" }, "status");
  expect(status).toMatchObject({ state: "disconnected", instanceId: "reviews-0", revision: mesh.status.revision });
});
