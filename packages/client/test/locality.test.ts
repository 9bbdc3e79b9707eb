import type { Endpoint, Locality } from "@tulle/policy";
import { Watchable } from "@tulle/time";
import { expect, test } from "vitest";
import { clientOf, type RunningServer, serve, snapshotOf } from "./mesh-of-servers.ts";

/** Servers that count their calls; a name such as `eu/a` says where each is. */
const serversIn = async (localities: readonly string[]) => {
  const servers: RunningServer[] = [];
  const calls = localities.map(() => 0);
  for (const place of localities.keys()) {
    servers.push(
      await serve((_request, response) => {
        calls[place] = (calls[place] ?? 0) + 1;
        response.end("fine");
      }),
    );
  }
  const endpoints = servers.map(({ endpoint }, place): Endpoint => {
    const [region = "", zone = ""] = localities[place]!.split("/");
    return { ...endpoint, locality: { region, zone } };
  });
  return {
    servers,
    endpoints,
    calls,
    [Symbol.asyncDispose]: async () => {
      await Promise.all(servers.map((server) => server[Symbol.asyncDispose]()));
    },
  };
};

const failover: Locality = { mode: "failover" };
const here = { region: "eu", zone: "a" };

test("calls stay in the caller's zone, and go on to the region when nobody is left there", async () => {
  await using fleet = await serversIn(["eu/a", "eu/a", "eu/b", "us/a"]);
  await using client = clientOf(
    snapshotOf({ reviews: { endpoints: fleet.endpoints, policy: { locality: failover } } }),
    { locality: here },
  );
  const call = async (): Promise<number> => {
    const { statusCode, body } = await client.request("http://reviews/");
    await body.dump();
    return statusCode;
  };
  for (let each = 0; each < 20; each++) await call();
  expect(fleet.calls[0]! + fleet.calls[1]!).toBe(20);

  await Promise.all(fleet.servers.slice(0, 2).map((server) => server[Symbol.asyncDispose]()));
  const statuses = new Set<number>();
  for (let each = 0; each < 20; each++) statuses.add(await call());
  expect(statuses).toEqual(new Set([200]));
  expect(fleet.calls[2]).toBe(20);
  expect(fleet.calls[3]).toBe(0);
});

test("a try after a failure in a zone of one instance goes to the next zone", async () => {
  await using far = await serversIn(["eu/b"]);
  await using near = await serve((_request, response) => void response.writeHead(503).end());
  const endpoints = [{ ...near.endpoint, locality: here }, ...far.endpoints];
  await using client = clientOf(snapshotOf({ reviews: { endpoints, policy: { locality: failover } } }), {
    locality: here,
  });
  const { statusCode, body } = await client.request("http://reviews/");
  await body.dump();
  expect([statusCode, far.calls[0]]).toEqual([200, 1]);
});

test("where the policy does not ask for it localities do not matter", async () => {
  await using fleet = await serversIn(["eu/a", "us/a"]);
  await using client = clientOf(
    snapshotOf({ reviews: { endpoints: fleet.endpoints, policy: { balancer: { algorithm: "round-robin" } } } }),
    { locality: here },
  );
  for (let each = 0; each < 10; each++) await (await client.request("http://reviews/")).body.dump();
  expect(fleet.calls).toEqual([5, 5]);
  expect(client.explain("http://reviews/").destinations[0]?.locality).toBeUndefined();
});

test("a zone that leaves the registry, and a new policy, count from the next call", async () => {
  await using fleet = await serversIn(["eu/a", "eu/b"]);
  const [near, far] = fleet.endpoints;
  const snapshots = new Watchable(
    snapshotOf({ reviews: { endpoints: [near!, far!], policy: { locality: failover } } }),
  );
  await using client = clientOf(snapshots, { locality: here });
  const call = async (): Promise<void> => {
    await (await client.request("http://reviews/")).body.dump();
  };
  await call();
  expect(fleet.calls).toEqual([1, 0]);
  snapshots.set(snapshotOf({ reviews: { endpoints: [far!], policy: { locality: failover } } }));
  await call();
  expect(fleet.calls).toEqual([1, 1]);
  const distribute: Locality = { mode: "distribute", distribute: [{ from: "*", to: { "eu/b": 100 } }] };
  snapshots.set(snapshotOf({ reviews: { endpoints: [near!, far!], policy: { locality: distribute } } }));
  for (let each = 0; each < 5; each++) await call();
  expect(fleet.calls).toEqual([1, 6]);
});

test("draining endpoints count in the health of their tier, and get no call", async () => {
  await using fleet = await serversIn(["eu/a", "eu/a", "eu/b"]);
  const [draining, near, far] = fleet.endpoints;
  await using client = clientOf(
    snapshotOf({
      reviews: { endpoints: [{ ...draining!, health: "draining" }, near!, far!], policy: { locality: failover } },
    }),
    { locality: here },
  );
  for (let each = 0; each < 40; each++) await (await client.request("http://reviews/")).body.dump();
  expect(fleet.calls[0]).toBe(0);
  expect(fleet.calls[2]).toBeGreaterThan(0);
  expect(client.explain("http://reviews/").destinations[0]?.locality).toMatchObject({
    mode: "failover",
    own: "eu/a",
    why: undefined,
    groups: [
      { name: "same zone", healthy: 1, total: 2, healthPercent: 70, loadPercent: 70, panics: false },
      { name: "same region", healthy: 1, total: 1, healthPercent: 100, loadPercent: 30, panics: false },
    ],
  });
});

test("zone-aware routing counts the instances of the caller's own service, where the snapshot holds them", async () => {
  await using fleet = await serversIn(["eu/a", "eu/b"]);
  const [near, far] = fleet.endpoints;
  const locality: Locality = { mode: "zone-aware", minimumClusterSize: 2 };
  const reviews = { endpoints: [near!, far!], policy: { locality } };
  const callerIn = (zone: string, id: string): Endpoint => ({ ...near!, id, locality: { region: "eu", zone } });
  const snapshots = new Watchable(snapshotOf({ reviews }));
  await using client = clientOf(snapshots, { locality: here });
  const sharesOf = () =>
    client
      .explain("http://reviews/")
      .destinations[0]?.locality?.groups.map(({ name, loadPercent }) => [name, Math.round(loadPercent)]);
  expect(sharesOf()).toEqual([
    ["eu/a", 100],
    ["eu/b", 0],
  ]);
  // Three of four callers are in zone a, which has half of the endpoints: two thirds of their calls stay.
  const callers = ["a", "a", "a", "b"].map((zone, place) => callerIn(zone, `productpage-${place}`));
  snapshots.set(snapshotOf({ reviews, productpage: { endpoints: callers } }, undefined, "static.2"));
  await expect.poll(sharesOf).toEqual([
    ["eu/a", 67],
    ["eu/b", 33],
  ]);
});

test("an explanation tells people the tiers, how well they are, and what they get", async () => {
  await using fleet = await serversIn(["eu/a", "us/a"]);
  const snapshot = snapshotOf({ reviews: { endpoints: fleet.endpoints, policy: { locality: failover } } });
  await using client = clientOf(snapshot, { locality: here });
  const told = client.explain("http://reviews/").toString();
  expect(told).toContain("locality failover, called from eu/a\n");
  expect(told).toContain("same zone: 1 of 1 healthy, bears 100 %, gets 100 %\n");
  expect(told).toContain("elsewhere: 1 of 1 healthy, bears 100 %, gets 0 %\n");
  await using lost = clientOf(snapshot);
  expect(lost.explain("http://reviews/").toString()).toContain(
    "called from an unknown place: does not matter now, this member does not know its own locality",
  );
});
