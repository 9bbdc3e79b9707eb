import { expect, test } from "vitest";
import type { EjectionDecision } from "../src/endpoints/outlier-ejection.ts";
import { clientOf, serve, snapshotOf } from "./mesh-of-servers.ts";

/** Two instances, of which the first answers every call with 500 at once. */
const twoInstances = async () => {
  const calls = { bad: 0, good: 0 };
  const bad = await serve((_request, response) => {
    calls.bad++;
    response.writeHead(500).end();
  });
  const good = await serve((_request, response) => {
    calls.good++;
    response.end("fine");
  });
  return { bad, good, calls };
};

test("an instance that only fails gets five calls in a row, and no more", async () => {
  const { bad, good, calls } = await twoInstances();
  await using _bad = bad;
  await using _good = good;
  const decisions: EjectionDecision[] = [];
  await using client = clientOf(
    snapshotOf({
      reviews: { endpoints: [bad.endpoint, good.endpoint], policy: { balancer: { algorithm: "round-robin" } } },
    }),
    { onEjection: (_service, decision) => decisions.push(decision) },
  );
  for (let call = 0; call < 100; call++) await (await client.request("http://reviews/")).body.dump();
  expect(calls).toEqual({ bad: 5, good: 95 });
  expect(decisions).toMatchObject([{ endpoint: bad.endpoint.id, cause: "consecutive-5xx", ejected: true }]);
});

test("nobody is left out where the policy turned it off", async () => {
  const { bad, good, calls } = await twoInstances();
  await using _bad = bad;
  await using _good = good;
  await using client = clientOf(
    snapshotOf({
      reviews: {
        endpoints: [bad.endpoint, good.endpoint],
        policy: { balancer: { algorithm: "round-robin" }, outlierDetection: false, circuitBreaker: false },
      },
    }),
  );
  for (let call = 0; call < 40; call++) await (await client.request("http://reviews/")).body.dump();
  expect(calls).toEqual({ bad: 20, good: 20 });
});

test("with a window an instance that fails every other call is left out as soon as that is known", async () => {
  const calls = { bad: 0, good: 0 };
  await using bad = await serve((_request, response) => {
    calls.bad++;
    response.writeHead(calls.bad % 2 === 0 ? 500 : 200).end();
  });
  await using good = await serve((_request, response) => {
    calls.good++;
    response.end("fine");
  });
  const decisions: EjectionDecision[] = [];
  await using client = clientOf(
    snapshotOf({
      reviews: {
        endpoints: [bad.endpoint, good.endpoint],
        policy: {
          balancer: { algorithm: "round-robin" },
          circuitBreaker: false,
          outlierDetection: {
            failurePercentage: { threshold: 20, window: "1m", minimumHosts: 1, requestVolume: 6 },
            maxEjectionPercent: 100,
          },
        },
      },
    }),
    { onEjection: (_service, decision) => decisions.push(decision) },
  );
  for (let call = 0; call < 60; call++) await (await client.request("http://reviews/")).body.dump();
  expect(calls).toEqual({ bad: 6, good: 54 });
  expect(decisions).toMatchObject([{ endpoint: bad.endpoint.id, cause: "failure-percentage", ejected: true }]);
});
