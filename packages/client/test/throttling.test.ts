import type { AdaptiveThrottling } from "@tulle/policy";
import { expect, test } from "vitest";
import { clientOf, type RunningServer, serve, snapshotOf } from "./mesh-of-servers.ts";

const reviewsAt = ({ endpoint }: RunningServer, adaptiveThrottling?: AdaptiveThrottling) =>
  snapshotOf({
    reviews: {
      endpoints: [endpoint],
      policy: { circuitBreaker: false, ...(adaptiveThrottling === undefined ? {} : { adaptiveThrottling }) },
    },
  });

test("a client sends a destination that rejects calls fewer of them, and says so", async () => {
  let visits = 0;
  await using reviews = await serve((_request, response) => {
    visits++;
    response.writeHead(503).end();
  });
  const calls = 200;
  const throttling = { window: "10s", minimumRequestsPerSecond: 2 } as const;
  await using client = clientOf(reviewsAt(reviews, throttling));
  const outcomes = new Map<unknown, number>();
  for (let call = 0; call < calls; call++) {
    const outcome = await client.request("http://reviews/", { mesh: { retry: false } }).then(
      async ({ statusCode, body }) => {
        await body.dump();
        return statusCode;
      },
      (error: { code: string }) => error.code,
    );
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  const refused = outcomes.get("THROTTLED") ?? 0;
  expect(outcomes.get(503)).toBe(visits);
  expect(visits + refused).toBe(calls);
  expect(refused).toBeGreaterThan(visits);
  expect(client.counters()).toMatchObject({ throttled: refused });
  const told = client.explain("http://reviews/");
  expect(told.destinations[0]?.throttling).toMatchObject({ rejectionPercent: 80, accepts: 0, throttled: refused });
  expect(String(told)).toContain("throttling refuses 80.0 % now; 0 of ");
  expect(client.describeChain("default/reviews")).toMatch(/^throttle: below the retry/m);
});

test("a call that is refused is not repeated", async () => {
  await using reviews = await serve((_request, response) => response.writeHead(503).end());
  await using client = clientOf(
    reviewsAt(reviews, { window: "10s", minimumRequestsPerSecond: 0, maxRejectionPercent: 100 }),
  );
  for (let call = 0; call < 100; call++)
    await client.fetch("http://reviews/", { mesh: { retry: false } }).catch(() => 0);
  const failures = [];
  for (let call = 0; call < 20; call++) failures.push(await client.fetch("http://reviews/").catch((error) => error));
  const atOnce = failures.filter(({ attempts }) => attempts?.[0]?.code === "THROTTLED");
  expect(atOnce.length).toBeGreaterThan(0);
  for (const { code, status, attempts } of atOnce) {
    expect({ code, status, attempts: attempts.length }).toEqual({ code: "THROTTLED", status: 503, attempts: 1 });
  }
});

test("a destination whose policy does not ask for it has no such step", async () => {
  await using reviews = await serve((_request, response) => response.end());
  await using client = clientOf(reviewsAt(reviews));
  expect(client.describeChain("default/reviews")).not.toContain("throttle");
});
