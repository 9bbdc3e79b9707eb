import type { Policy } from "@tulle/policy";
import { expect, test } from "vitest";
import { startMesh } from "./support/mesh-fixture.ts";

const policies = (cookie: string | undefined): Policy[] => [
  { kind: "Service", name: "reviews" },
  { kind: "Service", name: "details" },
  { kind: "Service", name: "ratings", subsets: { v1: { version: "v1" }, v2: { version: "v2" } } },
  {
    kind: "Route",
    name: "ratings",
    services: ["ratings"],
    rules: [
      ...(cookie === undefined
        ? []
        : [{ match: [{ headers: { cookie: { regex: cookie } } }], split: [{ subset: "v2" }] }]),
      { split: [{ subset: "v1" }] },
    ],
  },
];

/** Istio's sample: not linear on V8, so it runs on an engine that this member has not installed. */
const JASON = "^(.*?;)?(user=jason)(;.*)?$";

test("a member that refuses a policy keeps its last good one, still learns of endpoints, and status shows which and why", async () => {
  await using fixture = await startMesh(policies(undefined));
  const reviews = await fixture.startMember({ service: "reviews", instanceId: "reviews-0", lacks: "re2js" });
  await fixture.startMember({ service: "ratings", instanceId: "ratings-0" });
  const call = async (): Promise<{ readonly pid?: number; readonly version?: string }> => {
    const { fetched } = await reviews.ask({ ask: "fetch", url: "http://ratings/7" }, "fetched");
    return JSON.parse((fetched as { body?: string }).body ?? "{}") as { pid?: number; version?: string };
  };
  await expect.poll(async () => (await call()).version).toBe("v1");
  const { revision: good } = await fixture.admin.policies();

  const { revision, warnings } = await fixture.admin.apply(policies(JASON));
  expect(warnings).toContainEqual(
    expect.stringMatching(/^Route\/default\/ratings needs policy:regex-re2 .* lack: reviews-0 of default\/reviews /),
  );
  const answers = await fixture.admin.acknowledged(revision);
  expect(answers.complete).toBe(true);
  expect(answers.refused).toEqual([{ member: "reviews-0", reason: expect.stringContaining("re2js") }]);
  expect(answers.acknowledged).toEqual(["ratings-0"]);

  const { members } = await fixture.admin.members();
  const status = members.find(({ id }) => id === "reviews-0");
  expect(status?.revisions.policy).toBe(good);
  expect(status?.refusals.policy).toEqual({ revision, reason: expect.stringContaining("re2js") });

  const newcomer = await fixture.startMember({ service: "ratings", instanceId: "ratings-1" });
  await expect.poll(async () => (await call()).pid, { timeout: 10_000 }).toBe(newcomer.child.pid);

  // What it calls for the first time meanwhile, it learns at the revision that it holds.
  await fixture.startMember({ service: "details", instanceId: "details-0" });
  expect(await reviews.ask({ ask: "fetch", url: "http://details/7" }, "fetched")).toMatchObject({
    fetched: { status: 200 },
  });

  const { revision: healed } = await fixture.admin.apply(policies(undefined));
  expect(await fixture.admin.acknowledged(healed)).toMatchObject({ complete: true, refused: [] });
  const after = (await fixture.admin.members()).members.find(({ id }) => id === "reviews-0");
  expect(after?.revisions.policy).toBe(healed);
  expect(after?.refusals.policy).toBeUndefined();
});
