import type { CircuitBreaker, OutboundSnapshot, RoutePolicy } from "@tulle/policy";
import { Watchable } from "@tulle/time";
import { expect, test } from "vitest";
import { clientOf, type RunningServer, serve, snapshotOf } from "./mesh-of-servers.ts";

const route: RoutePolicy = {
  kind: "Route",
  name: "reviews",
  services: ["reviews"],
  rules: [
    { name: "reports", match: [{ path: { prefix: "/reports" } }], retry: false },
    { name: "all", retry: false },
  ],
};

const reviewsAt = ({ endpoint }: RunningServer, circuitBreaker: CircuitBreaker, routes = [route]): OutboundSnapshot =>
  snapshotOf({ reviews: { endpoints: [endpoint], routes, policy: { circuitBreaker } } });

/** Reports fail, all else is well. */
const server = () => serve((request, response) => response.writeHead(request.url === "/reports" ? 503 : 200).end());

const outcomeOf = async (client: ReturnType<typeof clientOf>, path: string): Promise<number | string> =>
  client.request(`http://reviews${path}`).then(
    async ({ statusCode, body }) => {
      await body.dump();
      return statusCode;
    },
    (error: { code: string }) => error.code,
  );

const row = { consecutiveFailures: 3, openFor: "1h" } as const;

test("one failing path shuts its own rule where the policy asks for circuits of rules", async () => {
  await using reviews = await server();
  await using client = clientOf(reviewsAt(reviews, { ...row, scope: "rule" }));
  for (let call = 0; call < 3; call++) expect(await outcomeOf(client, "/reports")).toBe(503);
  expect(await outcomeOf(client, "/reports")).toBe("CIRCUIT_OPEN");
  expect(await outcomeOf(client, "/")).toBe(200);
});

test("one failing path shuts the destination where nothing is said", async () => {
  await using reviews = await server();
  await using client = clientOf(reviewsAt(reviews, row));
  for (let call = 0; call < 3; call++) await outcomeOf(client, "/reports");
  expect(await outcomeOf(client, "/")).toBe("CIRCUIT_OPEN");
});

test("explanations tell whose circuit it is, how it opens and how near it is", async () => {
  await using reviews = await server();
  await using client = clientOf(reviewsAt(reviews, { ...row, scope: "rule" }));
  await outcomeOf(client, "/reports");
  const told = client.explain("http://reviews/reports");
  expect(told.destinations[0]?.circuitDetail).toMatchObject({
    name: "default/reviews, rule default/reviews/reports",
    scope: "rule",
    state: "closed",
    inARow: 1,
  });
  expect(String(told)).toContain(
    "circuit of the rule: opens at 50 % of at least 20 calls in 10s, or 3 failures in a row; now 1 failures in 1 calls",
  );
});

test("a changed policy begins a new circuit, and a new revision of the same one goes on with the old", async () => {
  await using reviews = await server();
  const outbound = new Watchable(reviewsAt(reviews, row));
  await using client = clientOf(outbound);
  for (let call = 0; call < 3; call++) await outcomeOf(client, "/reports");
  outbound.set(reviewsAt(reviews, { ...row }));
  expect(await outcomeOf(client, "/")).toBe("CIRCUIT_OPEN");
  outbound.set(reviewsAt(reviews, { ...row, consecutiveFailures: 4 }));
  expect(await outcomeOf(client, "/")).toBe(200);
});

test("a policy that changes while calls are under way lets them end, and what they come to is forgotten", async () => {
  const { promise: answering, resolve: answer } = Promise.withResolvers<void>();
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
  let visits = 0;
  await using reviews = await serve(async (_request, response) => {
    if (++visits === 3) arrive();
    await answering;
    response.writeHead(503).end();
  });
  const outbound = new Watchable(reviewsAt(reviews, row));
  await using client = clientOf(outbound);
  const calls = [1, 2, 3].map(() => outcomeOf(client, "/"));
  await arrived;
  outbound.set(reviewsAt(reviews, { ...row, scope: "rule" }));
  answer();
  expect(await Promise.all(calls)).toEqual([503, 503, 503]);
  expect(client.explain("http://reviews/").destinations[0]).toMatchObject({
    circuit: "closed",
    circuitDetail: { failures: 0, inARow: 0 },
  });
});

test("a rule that goes takes its circuit with it", async () => {
  await using reviews = await server();
  const breaker = { ...row, scope: "rule" } as const;
  const outbound = new Watchable(reviewsAt(reviews, breaker));
  await using client = clientOf(outbound);
  for (let call = 0; call < 3; call++) await outcomeOf(client, "/reports");
  outbound.set(reviewsAt(reviews, breaker, []));
  expect(await outcomeOf(client, "/reports")).toBe(503);
  outbound.set(reviewsAt(reviews, breaker));
  expect(client.explain("http://reviews/reports").destinations[0]).toMatchObject({ circuit: "closed" });
});
