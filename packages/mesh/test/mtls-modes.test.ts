import type { MtlsMode, Policy } from "@tulle/policy";
import { expect, test, vi } from "vitest";
import { startMesh } from "./support/mesh-fixture.ts";
import { reviewsPolicies } from "./support/reviews-policies.ts";
import { steadyTraffic } from "./support/traffic.ts";

/** Access by identity would refuse what comes in plaintext, so it is left out. */
const policies = (mode: MtlsMode): Policy[] => [
  ...reviewsPolicies().filter(({ kind }) => kind !== "Access"),
  { kind: "Authentication", name: "reviews", selector: { service: "reviews" }, mtls: { mode } },
];

const transports = (mode: MtlsMode): string => (mode === "disable" ? "plaintext" : "mtls");

test("callers follow a service from strict through permissive to disable and back without losing a request", async () => {
  await using fixture = await startMesh(policies("strict"));
  await Promise.all([
    fixture.startMember({ service: "reviews", version: "v1" }),
    fixture.startMember({ service: "reviews", version: "v2" }),
  ]);
  const mesh = await fixture.join({ service: "productpage" });
  const traffic = steadyTraffic(mesh, { url: "http://reviews/reviews/7", methods: ["GET", "POST"] });
  await traffic.more(100);
  for (const mode of ["permissive", "disable", "permissive", "strict"] as const) {
    await fixture.admin.apply(policies(mode));
    await vi.waitFor(
      async () => {
        const { services } = await fixture.admin.endpoints();
        const told = services.flatMap(({ endpoints }) => endpoints.map(({ transport }) => transport));
        expect(told).toEqual([transports(mode), transports(mode)]);
      },
      { timeout: 10_000 },
    );
    await traffic.more(200);
  }
  const { failures, answers } = await traffic.stop();
  expect(failures).toEqual([]);
  expect([...answers.keys()].sort()).toEqual(["GET v1", "GET v2", "POST v1", "POST v2"]);
});
