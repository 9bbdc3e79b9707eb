import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerResponse } from "node:http2";
import type { Policy, ServicePolicy } from "@tulle/policy";
import express from "express";
import { expect, test } from "vitest";
import type { MeshListener } from "../src/index.ts";
import type { Mesh } from "../src/mesh.ts";
import { type MeshFixture, startMesh } from "./support/mesh-fixture.ts";
import { steadyTraffic } from "./support/traffic.ts";

const policies = (protocol: NonNullable<ServicePolicy["protocol"]>): Policy[] => [
  { kind: "Service", name: "productpage" },
  { kind: "Service", name: "reviews", protocol },
  {
    kind: "Access",
    name: "reviews-callers",
    selector: { service: "reviews" },
    action: "allow",
    rules: [{ from: [{ principals: ["cluster.local/ns/default/sa/productpage"] }] }],
  },
];

interface Seen {
  readonly versions: Set<string>;
  readonly peers: Set<string | undefined>;
}

/** An instance of reviews that remembers how it was asked. */
const startReviews = async (
  fixture: MeshFixture,
  seen: Seen,
  instanceId = "reviews-0",
): Promise<{ mesh: Mesh; listener: MeshListener }> => {
  const mesh = await fixture.join({ service: "reviews", instanceId });
  const listener = await mesh.listen(
    (request: IncomingMessage, response: ServerResponse) => {
      seen.versions.add(request.httpVersion);
      seen.peers.add(request.headers["x-forwarded-client-cert"] as string | undefined);
      request.resume().on("end", () => response.end(JSON.stringify({ version: instanceId, pid: process.pid })));
    },
    { port: 0, host: "127.0.0.1", signals: false, drainTimeout: "10s" },
  );
  return { mesh, listener };
};

const newlySeen = (): Seen => ({ versions: new Set(), peers: new Set() });

test("members speak HTTP/2 over mTLS where the Service says so, and follow a change of it under traffic", async () => {
  await using fixture = await startMesh(policies("http2"));
  const seen = newlySeen();
  await startReviews(fixture, seen);
  const caller = await fixture.join({ service: "productpage" });
  const traffic = steadyTraffic(caller, { url: "http://reviews/reviews/7", methods: ["GET", "POST"], concurrency: 8 });
  await traffic.more(50);
  expect([...seen.versions]).toEqual(["2.0"]);
  expect([...seen.peers]).toEqual([expect.stringContaining("URI=spiffe://cluster.local/ns/default/sa/productpage")]);
  await fixture.admin.apply(policies("http"));
  await expect.poll(() => [...seen.versions], { timeout: 10_000 }).toContain("1.1");
  await fixture.admin.apply(policies("http2"));
  seen.versions.clear();
  await expect.poll(() => [...seen.versions], { timeout: 10_000 }).toContain("2.0");
  await traffic.more(50);
  expect((await traffic.stop()).failures).toEqual([]);
});

test("instances that leave under traffic in HTTP/2 lose no request of any method", async () => {
  await using fixture = await startMesh(policies("http2"), { startGraceMs: 1_000 });
  const seen = newlySeen();
  await startReviews(fixture, seen);
  const caller = await fixture.join({ service: "productpage" });
  const traffic = steadyTraffic(caller, {
    url: "http://reviews/reviews/7",
    methods: ["GET", "POST", "PUT", "DELETE"],
    concurrency: 16,
  });
  for (let turn = 1; turn <= 5; turn++) {
    const { mesh } = await startReviews(fixture, seen, `leaver-${turn}`);
    await expect
      .poll(() => [...traffic.tally.answers.keys()].some((key) => key.endsWith(`leaver-${turn}`)), { timeout: 10_000 })
      .toBe(true);
    await mesh.leave();
    await traffic.more(50);
    expect(traffic.tally.failures).toEqual([]);
  }
  expect((await traffic.stop()).failures).toEqual([]);
  expect([...seen.versions]).toEqual(["2.0"]);
});

test("whom Access does not allow gets nothing through HTTP/2 either", async () => {
  await using fixture = await startMesh([...policies("http2"), { kind: "Service", name: "ratings" }]);
  await startReviews(fixture, newlySeen());
  const stranger = await fixture.join({ service: "ratings" });
  const upload = { method: "POST", body: new Uint8Array(16 * 1_048_576) };
  for (const init of [{}, upload]) {
    const reply = await stranger.fetch("http://reviews/reviews/7", init);
    expect([reply.status, ((await reply.json()) as { code: string }).code]).toEqual([403, "ACCESS_DENIED"]);
  }
});

test("an application that cannot be served so is neither listened for nor registered", async () => {
  await using fixture = await startMesh(policies("http2"));
  const reviews = await fixture.join({ service: "reviews" });
  await expect(reviews.listen(express(), { port: 0, host: "127.0.0.1", signals: false })).rejects.toMatchObject({
    code: "PROTOCOL_UNSERVED",
  });
  const caller = await fixture.join({ service: "productpage" });
  await expect(caller.fetch("http://reviews/")).rejects.toThrow(/NO_HEALTHY_ENDPOINT.*no registered endpoint/);
});

test("a call in gRPC passes, with its trailers and its deadline", async () => {
  await using fixture = await startMesh(policies("grpc"));
  const asked: Record<string, unknown>[] = [];
  const reviews = await fixture.join({ service: "reviews" });
  await reviews.listen(
    (request: IncomingMessage, response: ServerResponse) => {
      asked.push({ ...request.headers, version: request.httpVersion });
      request.resume().on("end", () => {
        response.writeHead(200, { "content-type": "application/grpc" });
        response.write(Buffer.from([0, 0, 0, 0, 2, 8, 1]));
        (response as unknown as Http2ServerResponse).addTrailers({ "grpc-status": "0", "grpc-message": "fine" });
        response.end();
      });
    },
    { port: 0, host: "127.0.0.1", signals: false },
  );
  const caller = await fixture.join({ service: "productpage" });
  const { statusCode, body, trailers } = await caller.request("http://reviews/shop.Reviews/Get", {
    method: "POST",
    headers: { "content-type": "application/grpc", "grpc-timeout": "5S" },
    body: Buffer.from([0, 0, 0, 0, 0]),
  });
  expect([statusCode, [...Buffer.from(await body.arrayBuffer())]]).toEqual([200, [0, 0, 0, 0, 2, 8, 1]]);
  expect(trailers).toEqual({ "grpc-status": "0", "grpc-message": "fine" });
  expect(asked).toEqual([
    expect.objectContaining({ version: "2.0", te: "trailers", "content-type": "application/grpc" }),
  ]);
  expect(asked[0]?.["grpc-timeout"]).toMatch(/^\d+m$/);
});
