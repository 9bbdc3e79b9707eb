import { createTestAuthority } from "@tulle/testing";
import { expect, test } from "vitest";
import { createMesh } from "../src/create-mesh.ts";
import { startProgram } from "./support/process.ts";

test("two processes with given certificates call each other over mTLS, without any config-server", async () => {
  const authority = await createTestAuthority();
  await using reviews = startProgram("given-certificate", {
    CREDENTIALS: JSON.stringify(await authority.issue({ serviceAccount: "reviews" })),
  });
  const { port } = await reviews.heard("port");
  const caller = async (serviceAccount: string) =>
    createMesh({
      policies: [],
      endpoints: { reviews: [`127.0.0.1:${port}`] },
      service: serviceAccount,
      credentials: await authority.issue({ serviceAccount }),
    });
  await using productpage = await caller("productpage");
  await using details = await caller("details");

  const answer = await productpage.fetch("http://reviews/7", { method: "POST", body: "five stars" });
  expect(await answer.json()).toEqual({ pid: reviews.child.pid, said: "five stars" });
  expect(productpage.status.counters.client.handshakes).toBe(1);
  expect((await details.fetch("http://reviews/7")).status).toBe(403);
  expect(await reviews.end("SIGTERM")).toBe("SIGTERM");
});
