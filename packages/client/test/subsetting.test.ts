import { expect, test } from "vitest";
import { clientOf, serveAll, snapshotOf } from "./mesh-of-servers.ts";

test("a client with a subset of two connects to two of six instances, and to another when both are gone", async () => {
  const asked = new Set<number>();
  await using fleet = await serveAll(6, (place) => (_request, response) => {
    asked.add(place);
    response.end(String(place));
  });
  const { servers, endpoints } = fleet;
  const policy = { subsetting: { size: 2 } } as const;
  await using client = clientOf(snapshotOf({ reviews: { endpoints, policy } }));
  const call = async (): Promise<string> => (await client.request("http://reviews/")).body.text();
  for (let made = 0; made < 30; made++) await call();
  expect(asked.size).toBe(2);

  for (const place of asked) {
    const { server } = servers[place]!;
    server.closeAllConnections();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
  const before = new Set(asked);
  expect(before.has(Number(await call()))).toBe(false);
});
