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
