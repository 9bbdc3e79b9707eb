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

test("callers follow a service from strict through permissive to disable and back without losing a request", {
  timeout: 60_000,
}, async () => {
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

test("two instances of one service follow the policies that their own labels select, under traffic", {
  timeout: 60_000,
}, async () => {
  await using fixture = await startMesh(reviewsPolicies({ v1: 50, v2: 50 }).filter(({ kind }) => kind !== "Access"));
  await Promise.all([
    fixture.startMember({ service: "reviews", version: "v1" }),
    fixture.startMember({ service: "reviews", version: "v2" }),
  ]);
  const mesh = await fixture.join({ service: "productpage" });
  const traffic = steadyTraffic(mesh, { url: "http://reviews/reviews/7", methods: ["GET", "POST"] });
  const told = (expected: Readonly<Record<string, string>>): Promise<void> =>
    vi.waitFor(
      async () => {
        const { services } = await fixture.admin.endpoints();
        const endpoints = services.flatMap((each) => each.endpoints);
        expect(Object.fromEntries(endpoints.map(({ labels, transport }) => [labels.version, transport]))).toEqual(
          expected,
        );
      },
      { timeout: 10_000 },
    );
  const everywhere: Policy = {
    kind: "Authentication",
    name: "all",
    namespace: "istio-system",
    mtls: { mode: "disable" },
  };
  const canary: Policy = {
    kind: "Authentication",
    name: "canary",
    selector: { labels: { version: "v2" } },
    mtls: { mode: "strict" },
  };
  await traffic.more(100);
  await fixture.admin.apply([everywhere, canary]);
  await told({ v1: "plaintext", v2: "mtls" });
  await traffic.more(200);
  await fixture.admin.apply([{ kind: "Authentication", name: "namespace", mtls: { mode: "permissive" } }]);
  await told({ v1: "mtls", v2: "mtls" });
  await traffic.more(200);
  const { failures } = await traffic.stop();
  expect(failures).toEqual([]);
});
