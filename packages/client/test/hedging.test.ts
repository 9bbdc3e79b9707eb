import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { expect, test } from "vitest";
import { clientOf, serve, snapshotOf } from "./mesh-of-servers.ts";

const hedged = {
  kind: "Route",
  name: "reviews",
  services: ["reviews"],
  rules: [{ hedge: { delay: "60ms" } }],
} as const;

test("the loser's request ends on the wire, and the winner's answer is the caller's", async () => {
  const lost: Promise<unknown>[] = [];
  let stuck: IncomingMessage | undefined;
  await using slow = await serve((request) => {
    stuck = request;
    lost.push(once(request.socket, "close"));
  });
  await using quick = await serve((_request, response) => void response.end("quick"));
  await using client = clientOf(
    snapshotOf({
      reviews: {
        endpoints: [slow.endpoint, quick.endpoint],
        routes: [hedged],
        policy: { balancer: { algorithm: "round-robin" } },
      },
    }),
  );
  // Round-robin sends at least one of two calls to the slow one first.
  for (let call = 0; call < 2; call++) {
    const response = await client.fetch("http://reviews/");
    expect(await response.text()).toBe("quick");
  }
  expect(lost.length).toBeGreaterThan(0);
  await Promise.all(lost);
  expect(stuck?.socket.destroyed).toBe(true);
  const { hedges, hedgesCancelled, retries } = client.counters();
  expect(hedges).toBeGreaterThanOrEqual(1);
  expect([hedgesCancelled, retries]).toEqual([hedges, hedges]);
});

test("a hedged body reaches both endpoints whole", async () => {
  const received: string[] = [];
  const read = async (request: IncomingMessage): Promise<void> => {
    let text = "";
    for await (const chunk of request.setEncoding("utf8")) text += chunk;
    received.push(text);
  };
  await using slow = await serve((request) => void read(request));
  await using quick = await serve((request, response) => void read(request).then(() => response.end("quick")));
  await using client = clientOf(
    snapshotOf({
      reviews: {
        endpoints: [slow.endpoint, quick.endpoint],
        routes: [hedged],
        policy: { balancer: { algorithm: "round-robin" } },
      },
    }),
  );
  for (let call = 0; call < 2; call++) {
    const response = await client.fetch("http://reviews/", { method: "PUT", body: "five stars" });
    expect(await response.text()).toBe("quick");
  }
  expect(received).toEqual(Array.from(received, () => "five stars"));
  expect(received.length).toBe(2 + (client.counters().hedges ?? 0));
});

test("with one endpoint nothing is hedged", async () => {
  await using only = await serve((_request, response) => void setTimeout(() => response.end("only"), 80));
  await using client = clientOf(snapshotOf({ reviews: { endpoints: [only.endpoint], routes: [hedged] } }));
  expect(await (await client.fetch("http://reviews/")).text()).toBe("only");
  expect(client.counters().hedges).toBe(0);
});
