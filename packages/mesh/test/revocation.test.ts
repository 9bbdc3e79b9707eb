import { expect, test } from "vitest";
import { type MeshFixture, startMesh } from "./support/mesh-fixture.ts";
import { reviewsPolicies } from "./support/reviews-policies.ts";

const URL_OF = "http://reviews/reviews/7";

const revoke = async (fixture: MeshFixture, what: object): Promise<void> => {
  expect(await fixture.admin.call("POST", "/v1/certificates/revocations", what)).toMatchObject({ status: 200 });
};

const memberOf = async (fixture: MeshFixture, id: string) =>
  (await fixture.admin.members()).members.find((member) => member.id === id);

test("a revoked caller loses the call that is under way, its connections and its certificate; others go on", async () => {
  await using fixture = await startMesh(reviewsPolicies());
  await Promise.all([
    fixture.startMember({ service: "reviews", version: "v1" }),
    fixture.startMember({ service: "reviews", version: "v2" }),
  ]);
  const [bad, good] = await Promise.all([
    fixture.join({ service: "productpage", instanceId: "bad" }),
    fixture.join({ service: "productpage", instanceId: "good" }),
  ]);
  for (const mesh of [bad, good]) expect((await mesh.fetch(URL_OF)).status).toBe(200);
  const generation = good.status.credentialGeneration;

  const cut = bad.fetch(`${URL_OF}?delay=15000`, { method: "POST", body: "x" });
  const kept = good.fetch(`${URL_OF}?delay=1500`);
  const member = await memberOf(fixture, "bad");
  const outcome = expect(cut).rejects.toThrow();
  await revoke(fixture, { serial: member?.certificateSerial, reason: "test" });
  await outcome;
  expect((await kept).status).toBe(200);
  expect((await good.fetch(URL_OF)).status).toBe(200);
  expect(good.status.credentialGeneration).toBe(generation);

  // It has a token still, so it joins anew, with another certificate.
  await expect
    .poll(async () => (await memberOf(fixture, "bad"))?.certificateSerial, { timeout: 15_000 })
    .not.toBe(member?.certificateSerial);
  await expect
    .poll(async () => (await bad.fetch(URL_OF).catch(() => undefined))?.status, { timeout: 10_000 })
    .toBe(200);
}, 60_000);

test("a revoked instance is called no more, its open connections end, and its identity can neither renew nor join", async () => {
  await using fixture = await startMesh(reviewsPolicies());
  await fixture.startMember({ service: "reviews", version: "v1", instanceId: "v1" });
  await fixture.startMember({ service: "reviews", version: "v2" });
  const mesh = await fixture.join({ service: "productpage" });
  expect((await mesh.fetch(URL_OF)).status).toBe(200);
  const spiffeId = "spiffe://cluster.local/ns/default/sa/reviews";
  const cut = expect(mesh.fetch(`${URL_OF}?delay=15000`, { method: "POST", body: "x" })).rejects.toThrow();
  await revoke(fixture, { spiffeId, reason: "test" });
  await cut;
  await expect(mesh.fetch(URL_OF)).rejects.toThrow();
  await expect.poll(async () => (await memberOf(fixture, "v1"))?.connected).toBe(false);
  const token = await fixture.token("reviews");
  await expect(fixture.join({ service: "reviews", token, readyTimeout: "5s" })).rejects.toThrow(
    `the identity ${spiffeId} was revoked`,
  );

  // The list outlives the config-server, and a restored identity is back.
  await fixture.killConfigServer();
  await fixture.startConfigServer();
  await expect(fixture.join({ service: "reviews", token, readyTimeout: "5s" })).rejects.toThrow("was revoked");
  const path = `/v1/certificates/revocations/${encodeURIComponent(spiffeId)}`;
  expect(await fixture.admin.call("DELETE", path)).toMatchObject({ status: 204 });
  await fixture.join({ service: "reviews", token, readyTimeout: "5s" });
}, 60_000);
