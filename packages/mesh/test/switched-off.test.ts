import { expect, test } from "vitest";
import { type JoinMeshOptions, joinMesh } from "../src/join-mesh.ts";

test("a member that is switched off needs neither service nor config-server, and takes no host for its own", async () => {
  await using mesh = await joinMesh({ mode: "off" });
  expect(mesh.status).toMatchObject({ state: "off", mode: "off" });
  for (const url of ["http://reviews/7", "http://reviews.default.svc.cluster.local/7"]) {
    expect(mesh.explain(url).kind).toBe("outside");
  }
});

test.each([
  [{ mode: "half" }, 'mode is "half"; write one of off, observe, client, full'],
  [{ onUnready: "wait" }, 'onUnready is "wait"; write one of throw, snapshot, passthrough'],
])("joining with %j is refused", async (options, message) => {
  // As JavaScript hands it in.
  const given = { service: "reviews", ...options } as unknown as JoinMeshOptions;
  await expect(joinMesh(given)).rejects.toThrow(
    expect.objectContaining({ code: "INVALID_CALL", message: `INVALID_CALL: ${message}` }),
  );
});
