import type { Acknowledgement, ApplyResult } from "@tulle/protocol";
import { expect, test } from "vitest";
import { binomialP } from "./support/binomial.ts";
import { policyFile, tulle } from "./support/command-line.ts";
import { startMesh } from "./support/mesh-fixture.ts";
import { reviewsPolicies } from "./support/reviews-policies.ts";
import { steadyTraffic } from "./support/traffic.ts";

const share = (answers: ReadonlyMap<string, number>): { readonly v1: number; readonly all: number } => {
  const [v1 = 0, v2 = 0] = ["GET v1", "GET v2"].map((key) => answers.get(key) ?? 0);
  return { v1, all: v1 + v2 };
};

test("a split changed by `apply --wait` under traffic: no request fails, and after the command the share is the new one", async () => {
  await using fixture = await startMesh(reviewsPolicies({ v1: 80, v2: 20 }));
  await Promise.all([
    fixture.startMember({ service: "reviews", version: "v1" }),
    fixture.startMember({ service: "reviews", version: "v2" }),
  ]);
  const mesh = await fixture.join({ service: "productpage" });
  const url = "http://reviews/reviews/7";
  const before = steadyTraffic(mesh, { url });
  await before.more(1_000);
  const file = await policyFile(fixture, reviewsPolicies({ v1: 50, v2: 50 }));
  const applied = await tulle<{ revision: string; acknowledgement: Acknowledgement }>(fixture, "apply", "--wait", file);
  expect(applied.acknowledgement).toMatchObject({ complete: true, refused: [], pending: [] });
  expect(applied.acknowledgement.acknowledged).toHaveLength(3);
  const after = steadyTraffic(mesh, { url });
  await after.more(1_000);

  const old = await before.stop();
  const { failures, answers } = await after.stop();
  expect([...old.failures, ...failures]).toEqual([]);
  const { v1, all } = share(answers);
  expect(binomialP(v1, all, 0.5)).toBeGreaterThan(0.001);
  expect(mesh.status.revision).toBe(applied.revision);
});

test("an apply whose route names a missing subset is refused whole, with place and reason, and nothing changes", async () => {
  await using fixture = await startMesh(reviewsPolicies());
  const before = await fixture.admin.policies();
  const answer = await fixture.admin.call<{ problems: unknown[] }>("POST", "/v1/apply", {
    policies: [
      { kind: "Service", name: "ratings" },
      { kind: "Route", name: "reviews", services: ["reviews"], rules: [{ split: [{ subset: "v4" }] }] },
    ],
  });
  expect(answer.status).toBe(422);
  expect(answer.body.problems).toEqual([
    expect.objectContaining({
      policy: "Route/default/reviews",
      path: "rules[0].split[0].subset",
      message: expect.stringContaining("v4"),
    }),
  ]);
  expect(await fixture.admin.policies()).toEqual(before);
});

test("a member with re2js says so: a pattern that needs it is applied without a warning, and taken", async () => {
  await using fixture = await startMesh(reviewsPolicies({ v1: 100, v2: 0 }));
  const mesh = await fixture.join({ service: "productpage", dependencies: ["reviews"] });
  const file = await policyFile(fixture, [
    {
      kind: "Route",
      name: "by-user",
      services: ["reviews"],
      rules: [{ match: [{ headers: { "end-user": { regex: "(?i)jason" } } }] }],
    },
  ]);
  const applied = await tulle<ApplyResult & { acknowledgement: Acknowledgement }>(fixture, "apply", "--wait", file);
  expect(applied.warnings).toEqual([]);
  expect(applied.acknowledgement).toMatchObject({ complete: true, refused: [] });
  expect(mesh.status.revision).toBe(applied.revision);
});
