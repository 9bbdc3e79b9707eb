import type { RotationStatus } from "@tulle/protocol";
import { expect, test } from "vitest";
import { type MeshFixture, startMesh } from "./support/mesh-fixture.ts";
import { reviewsPolicies } from "./support/reviews-policies.ts";
import { steadyTraffic } from "./support/traffic.ts";

/** Long enough for many calls, short enough that the old root may retire while the test looks on. */
const LIFE_MS = 8_000;

const rotation = async (fixture: MeshFixture, step?: string, body: object = {}): Promise<RotationStatus> => {
  const path = `/v1/certificates/rotation${step === undefined ? "" : `/${step}`}`;
  const answer = await fixture.admin.call<RotationStatus>(step === undefined ? "GET" : "POST", path, step && body);
  expect(answer, JSON.stringify(answer.body)).toMatchObject({ status: 200 });
  return answer.body;
};

const nobodyWaits = (fixture: MeshFixture) =>
  expect.poll(async () => (await rotation(fixture)).heldBackBy, { timeout: 15_000 }).toEqual([]);

test("a root is rotated under traffic in both directions: no request fails, and a long download goes on through all of it", async () => {
  await using fixture = await startMesh(reviewsPolicies(), { certificateTtlMs: LIFE_MS, startGraceMs: 0 });
  const oldToken = await fixture.token("reviews");
  const [v1] = await Promise.all([
    fixture.startMember({ service: "reviews", version: "v1" }),
    fixture.startMember({ service: "reviews", version: "v2" }),
  ]);
  const mesh = await fixture.join({ service: "productpage" });
  const traffic = steadyTraffic(mesh, { url: "http://reviews/reviews/7", methods: ["GET", "POST"] });
  // It is under way on its connection while the bundle, then the certificate, changes.
  const slow = mesh.fetch("http://reviews/reviews/7?delay=5000");
  await traffic.more(100);

  const [before] = (await rotation(fixture)).roots;
  await rotation(fixture, "prepare");
  await traffic.more(50);
  await rotation(fixture, "distribute");
  await traffic.more(50);
  await nobodyWaits(fixture);

  const activated = await rotation(fixture, "activate", { within: "1s" });
  expect(activated.phase).toBe("activated");
  // The config-server is still under the root that tokens of before pin.
  await fixture.startMember({ service: "reviews", version: "v2", token: oldToken });
  await traffic.more(50);
  await nobodyWaits(fixture);
  expect((await slow).status).toBe(200);

  await expect
    .poll(async () => (await fixture.admin.call("POST", "/v1/certificates/rotation/retire", {})).status, {
      timeout: 2 * LIFE_MS,
      interval: 200,
    })
    .toBe(200);
  await traffic.more(200);
  const { failures } = await traffic.stop();
  expect(failures).toEqual([]);

  const after = await rotation(fixture);
  expect(after.phase).toBe("none");
  expect(after.roots).toHaveLength(1);
  expect(after.roots[0]?.id).not.toBe(before?.id);
  const { members } = await fixture.admin.members();
  expect(new Set(members.map(({ certificateRoot }) => certificateRoot))).toEqual(new Set([after.roots[0]?.id]));
  const { status } = await v1.ask({ ask: "status" }, "status");
  expect((status as typeof mesh.status).credentialGeneration).toBeGreaterThan(2);

  // Tokens of before pin a root that is gone, and say so; new ones work.
  await expect(fixture.join({ service: "details", token: oldToken, readyTimeout: "5s" })).rejects.toThrow(
    "the root was rotated since the token was made: create a new one",
  );
  await fixture.startMember({ service: "reviews", version: "v1", token: await fixture.token("reviews") });
}, 120_000);

test("a rotation goes on after the config-server was killed in the middle of it, with the members it had", async () => {
  await using fixture = await startMesh(reviewsPolicies(), { startGraceMs: 0 });
  await Promise.all([
    fixture.startMember({ service: "reviews", version: "v1" }),
    fixture.startMember({ service: "reviews", version: "v2" }),
  ]);
  const mesh = await fixture.join({ service: "productpage" });
  const traffic = steadyTraffic(mesh, { url: "http://reviews/reviews/7" });
  for (const [step, phase] of [
    ["prepare", "prepared"],
    ["distribute", "distributing"],
    ["activate", "activated"],
  ] as const) {
    if (step === "activate") await nobodyWaits(fixture);
    await rotation(fixture, step);
    if (step === "prepare") continue;
    await fixture.killConfigServer();
    await traffic.more(20);
    await fixture.startConfigServer();
    expect((await rotation(fixture)).phase).toBe(phase);
    await expect
      .poll(async () => (await fixture.admin.members()).members.filter(({ connected }) => connected).length, {
        timeout: 15_000,
      })
      .toBe(3);
  }
  // Asked to renew, both have certificates of the new root, and nobody needs the old one.
  await fixture.admin.renew();
  await nobodyWaits(fixture);
  await rotation(fixture, "retire", { force: true });
  await traffic.more(50);
  expect((await traffic.stop()).failures).toEqual([]);
  expect(mesh.status.credentialGeneration).toBeGreaterThan(2);
}, 120_000);
