import type { IncomingMessage } from "node:http";
import { request as requestOverHttp } from "node:http";
import { expect, test } from "vitest";
import { startMesh } from "./support/mesh-fixture.ts";

/** Four instances of reviews, of which those of `says` tell in their replies how degraded they are. */
const setup = async (says: ReadonlyMap<string, string>) => {
  const fixture = await startMesh([
    { kind: "Service", name: "productpage" },
    { kind: "Service", name: "reviews", balancer: { algorithm: "round-robin" } },
  ]);
  for (const instanceId of ["reviews-0", "reviews-1", "reviews-2", "reviews-3"]) {
    const reviews = await fixture.join({ service: "reviews", instanceId });
    await reviews.listen(
      (_request: IncomingMessage, response) => {
        const said = says.get(instanceId);
        if (said !== undefined) response.setHeader("x-envoy-degraded", said);
        response.end(instanceId);
      },
      { port: 0, host: "127.0.0.1", signals: false },
    );
  }
  const caller = await fixture.join({ service: "productpage" });
  const ask = async () => {
    const response = await caller.fetch("http://reviews/");
    expect(response.headers.get("x-envoy-degraded")).toBeNull();
    return response.text();
  };
  const asked = async (calls: number) => {
    const met: string[] = [];
    for (let call = 0; call < calls; call++) met.push(await ask());
    return met;
  };
  const states = () =>
    Object.fromEntries(
      caller.explain("http://reviews/").destinations[0]?.candidates.map(({ endpoint, state }) => [endpoint, state]) ??
        [],
    );
  await expect.poll(async () => new Set(await asked(4)).size).toBe(4);
  return { fixture, caller, ask, asked, states };
};

test("an instance that says in a reply that it is degraded gets no more calls while the others can bear them", async () => {
  const says = new Map<string, string>();
  const { fixture, caller, asked, states } = await setup(says);
  await using _ = fixture;
  says.set("reviews-2", "60");
  await expect.poll(async () => new Set(await asked(8)).has("reviews-2")).toBe(false);
  expect(await asked(40)).not.toContain("reviews-2");
  expect(states()).toMatchObject({ "reviews-0": "healthy", "reviews-2": "degraded" });
  expect(caller.status.counters.client.degradedHints).toBe(1);
});

test("where too many are degraded they get their calls, and one that says 0 is healthy again", async () => {
  const says = new Map(["reviews-0", "reviews-1", "reviews-2"].map((id) => [id, "60"]));
  const { fixture, asked, states } = await setup(says);
  await using _ = fixture;
  const degraded = () => Object.values(states()).filter((state) => state === "degraded").length;
  await expect.poll(degraded).toBe(3);
  for (const id of says.keys()) says.set(id, "0");
  // The last one is not called any more, for three are enough: it is degraded until its time is over.
  await expect.poll(async () => (await asked(10)) && degraded()).toBe(1);
});

test("through mesh.agent an instance's word counts as well, and no caller sees it", async () => {
  const says = new Map<string, string>();
  const { fixture, caller, states } = await setup(says);
  await using _ = fixture;
  for (const id of ["reviews-0", "reviews-1", "reviews-2", "reviews-3"]) says.set(id, "60");
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    requestOverHttp("http://reviews/", { agent: caller.agent }, resolve).on("error", reject).end();
  });
  response.resume();
  expect(response.headers["x-envoy-degraded"]).toBeUndefined();
  expect(Object.values(states()).filter((state) => state === "degraded")).toHaveLength(1);
});
