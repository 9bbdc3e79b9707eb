import type { Policy, RouteRule } from "@tulle/policy";
import { expect, test, vi } from "vitest";
import type { Mesh } from "../src/mesh.ts";
import { startMesh } from "./support/mesh-fixture.ts";

const policies = (rule: RouteRule): Policy[] => [
  { kind: "Service", name: "productpage" },
  { kind: "Service", name: "ratings" },
  { kind: "Service", name: "reviews", subsets: { v1: { version: "v1" }, v2: { version: "v2" } } },
  { kind: "Route", name: "reviews", services: ["reviews"], rules: [rule] },
];

const versionFor = async (mesh: Mesh, headers: Record<string, string> = {}) => {
  const response = await mesh.fetch("http://reviews/", { headers });
  const { version } = (await response.json()) as { version: string };
  return { version, cookie: response.headers.getSetCookie()[0]?.split(";")[0] };
};

test("a session outlives an apply that takes its version's weight to 0", async () => {
  const sessionAffinity = { cookie: {} };
  await using fixture = await startMesh(
    policies({
      split: [
        { subset: "v1", weight: 0 },
        { subset: "v2", weight: 1 },
      ],
      sessionAffinity,
    }),
  );
  await Promise.all([
    fixture.startMember({ service: "reviews", version: "v1" }),
    fixture.startMember({ service: "reviews", version: "v2" }),
  ]);
  const mesh = await fixture.join({ service: "productpage" });
  const { version, cookie = "" } = await versionFor(mesh);
  expect(version).toBe("v2");
  await fixture.admin.apply(
    policies({
      split: [
        { subset: "v1", weight: 1 },
        { subset: "v2", weight: 0 },
      ],
      sessionAffinity,
    }),
  );
  await vi.waitFor(async () => expect((await versionFor(mesh)).version).toBe("v1"), 10_000);
  expect(await versionFor(mesh, { cookie })).toEqual({ version: "v2", cookie: undefined });
});

test("a member learns of its mirror's service by itself, and sends it copies over mTLS", async () => {
  await using fixture = await startMesh(policies({ split: [{ subset: "v1" }], mirror: [{ service: "ratings" }] }));
  await Promise.all([
    fixture.startMember({ service: "reviews", version: "v1" }),
    fixture.startMember({ service: "ratings", version: "v1" }),
  ]);
  const mesh = await fixture.join({ service: "productpage" });
  await vi.waitFor(async () => {
    expect((await versionFor(mesh)).version).toBe("v1");
    expect(mesh.status.counters.client.mirrored).toBeGreaterThan(0);
  }, 10_000);
  expect(mesh.status.counters.client).toMatchObject({ mirrorsFailed: 0, retries: 0 });
});

test("a mirror whose service does not exist is refused when it is applied, with its place", async () => {
  await using fixture = await startMesh(policies({}));
  const answer = await fixture.admin.call<{ problems: unknown[] }>("POST", "/v1/apply", {
    policies: policies({ mirror: [{ service: "ratigns" }] }),
  });
  expect(answer.status).toBe(422);
  expect(answer.body.problems).toEqual([
    expect.objectContaining({
      path: "rules[0].mirror[0].service",
      message: expect.stringContaining("there is no service default/ratigns"),
      suggestion: '"ratings"',
    }),
  ]);
});
