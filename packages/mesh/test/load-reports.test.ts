import type { IncomingMessage } from "node:http";
import type { Policy } from "@tulle/policy";
import { expect, test } from "vitest";
import type { Mesh } from "../src/mesh.ts";
import { startMesh } from "./support/mesh-fixture.ts";

const policies = (algorithm: "prequal" | "weighted-round-robin" | "peak-ewma"): Policy[] => [
  { kind: "Service", name: "productpage" },
  { kind: "Service", name: "reviews", balancer: { algorithm } },
];

const FORMAT = "endpoint-load-metrics-format";
const REPORT = "endpoint-load-metrics";

/** A mesh whose reviews remember what they were asked, and claim a load of their own. */
const meshOf = async (algorithm: "prequal" | "weighted-round-robin" | "peak-ewma") => {
  const fixture = await startMesh(policies(algorithm));
  const asked: (string | undefined)[] = [];
  const reviews = await fixture.join({ service: "reviews" });
  const listener = await reviews.listen(
    (request: IncomingMessage, response) => {
      asked.push(request.headers[FORMAT] as string | undefined);
      response.writeHead(200, { [REPORT]: "TEXT eps=99" }).end("ok");
    },
    { port: 0, host: "127.0.0.1", signals: false },
  );
  const caller = await fixture.join({ service: "productpage" });
  return { fixture, asked, reviews, listener, caller };
};

const call = async (mesh: Mesh): Promise<Headers> => {
  const response = await mesh.fetch("http://reviews/");
  await response.text();
  return response.headers;
};

test.each(["prequal", "weighted-round-robin"] as const)(
  "with %s members are asked how busy they are, and callers see nothing of it",
  async (algorithm) => {
    const { fixture, asked, caller } = await meshOf(algorithm);
    await using _ = fixture;
    for (let made = 0; made < 3; made++) {
      const headers = await call(caller);
      expect(headers.get(REPORT)).toBeNull();
      expect(headers.get(FORMAT)).toBeNull();
    }
    expect(asked).toEqual(["TEXT", "TEXT", "TEXT"]);
  },
);

test("with a balancer that reads no reports nobody is asked", async () => {
  const { fixture, asked, caller } = await meshOf("peak-ewma");
  await using _ = fixture;
  await call(caller);
  expect(asked).toEqual([undefined]);
});

test("what members report over mTLS becomes the weights by which they are called", async () => {
  await using fixture = await startMesh([
    { kind: "Service", name: "productpage" },
    { kind: "Service", name: "reviews", balancer: { algorithm: "weighted-round-robin", blackoutPeriod: "0s" } },
  ]);
  for (const instanceId of ["reviews-0", "reviews-1"]) {
    const reviews = await fixture.join({ service: "reviews", instanceId });
    await reviews.listen((_request: IncomingMessage, response) => response.end("ok"), {
      port: 0,
      host: "127.0.0.1",
      signals: false,
    });
  }
  const caller = await fixture.join({ service: "productpage" });
  /** What explanations show is 1 / weight: exactly 1 for the registered weights, which plain round robin goes by. */
  const loads = (): number[] =>
    caller.explain("http://reviews/").destinations[0]?.candidates.map(({ load }) => load) ?? [];
  await expect
    .poll(
      async () => {
        await call(caller);
        return loads().filter((load) => load !== 1).length;
      },
      { timeout: 20_000, interval: 20 },
    )
    .toBe(2);
  for (const load of loads()) expect(load).toBeGreaterThan(0);
});
