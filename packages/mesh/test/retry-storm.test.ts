import { createServer } from "node:http";
import type { Policy, RetryPolicy } from "@tulle/policy";
import { createTestAuthority } from "@tulle/testing";
import { expect, test } from "vitest";
import { createMesh, type FixedMesh } from "../src/create-mesh.ts";

/** From the one that is called first to the one that fails. */
const stack = ["gateway", "orders", "stock"] as const;

interface Storm extends AsyncDisposable {
  /** Makes that many calls, a few at a time, and tells what came of them. */
  offer(calls: number): Promise<{ readonly load: number; readonly statuses: ReadonlySet<number> }>;
  readonly members: Readonly<Record<string, FixedMesh>>;
}

/**
 * An edge above three stacked services over mTLS. Each answers as the one below it does, and the last one fails at once.
 * Circuits are off, for they would hide what the retries do.
 */
const startStorm = async (
  retry: RetryPolicy,
  budget: { ratio?: number; minPerSecond?: number } = {},
): Promise<Storm> => {
  const authority = await createTestAuthority();
  const policies: Policy[] = [
    { kind: "Mesh", name: "mesh", defaults: { retry, retryBudget: budget } },
    ...stack.map((name): Policy => ({ kind: "Service", name, circuitBreaker: false })),
  ];
  const join = async (service: string): Promise<FixedMesh> =>
    createMesh({
      service,
      policies,
      endpoints: {},
      credentials: await authority.issue({ serviceAccount: service }),
    });
  const edge = await join("edge");
  const members: Record<string, FixedMesh> = { edge };
  const endpoints: Record<string, string[]> = {};
  let load = 0;
  for (const [place, service] of stack.entries()) {
    const mesh = await join(service);
    members[service] = mesh;
    const below = stack[place + 1];
    const app = createServer(async (_request, response) => {
      if (below === undefined) {
        load++;
        response.writeHead(503).end();
        return;
      }
      const { statusCode, body } = await mesh.request(`http://${below}/`);
      await body.dump();
      response.writeHead(statusCode).end();
    });
    const { port } = await mesh.listen(app, { port: 0, host: "127.0.0.1", signals: false });
    endpoints[service] = [`127.0.0.1:${port}`];
  }
  for (const mesh of Object.values(members)) mesh.update({ policies, endpoints });
  return {
    members,
    offer: async (calls) => {
      load = 0;
      const statuses = new Set<number>();
      let left = calls;
      const worker = async (): Promise<void> => {
        while (left-- > 0) {
          const { statusCode, headers, body } = await edge.request("http://gateway/");
          await body.dump();
          expect(headers).not.toHaveProperty("tulle-retried");
          statuses.add(statusCode);
        }
      };
      await Promise.all(Array.from({ length: 32 }, worker));
      return { load, statuses };
    },
    [Symbol.asyncDispose]: async () => {
      for (const mesh of Object.values(members)) await mesh.leave();
    },
  };
};

// More than the floor of the budget allows retries for: 100 within 10 s, which is a fifth of 500.
const OFFERED = 3_000;

test("three stacked services with 3 retries each, the last one failing: its load is at most 1.2 times the offered one", async () => {
  await using storm = await startStorm({ retries: 3 });
  const { load, statuses } = await storm.offer(OFFERED);
  expect([...statuses]).toEqual([503]);
  expect(load).toBeGreaterThan(OFFERED);
  expect(load).toBeLessThanOrEqual(1.2 * OFFERED);
  const { edge, gateway, orders } = storm.members;
  const retriesOf = (mesh: FixedMesh | undefined) => mesh?.status.counters.client.retries;
  expect([retriesOf(edge), retriesOf(gateway)]).toEqual([0, 0]);
  expect(retriesOf(orders)).toBe(load - OFFERED);
});

test("without budget and guard the same retries multiply: 4 attempts on each of 3 hops make 64 calls of one", async () => {
  await using storm = await startStorm(
    { retries: 3, stacked: true, backoff: { base: "1ms", max: "1ms" } },
    { ratio: 1, minPerSecond: 10_000 },
  );
  const { load, statuses } = await storm.offer(30);
  expect([...statuses]).toEqual([503]);
  expect(load).toBe(30 * 64);
});
