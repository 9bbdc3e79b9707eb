import { isMeshError, type MeshPolicy, type RouteRule } from "@tulle/policy";
import { expect, test } from "vitest";
import { clientOf, serve, snapshotOf } from "./mesh-of-servers.ts";

const routed = (rule: RouteRule) => [{ kind: "Route", name: "reviews", services: ["reviews"], rules: [rule] }] as const;

/** A stream that says something every few milliseconds and never ends by itself. */
const endless = (onClose: () => void) =>
  serve((_request, response) => {
    const timer = setInterval(() => response.write("data: x\n\n"), 5);
    response.on("close", () => {
      clearInterval(timer);
      onClose();
    });
    response.write("data: first\n\n");
  });

test("maxDuration ends a stream that is alive, with its code, and the server sees its connection end", async () => {
  const closed = Promise.withResolvers<void>();
  await using server = await endless(closed.resolve);
  await using client = clientOf(
    snapshotOf({ reviews: { endpoints: [server.endpoint], routes: routed({ maxDuration: "1s" }) } }),
  );
  const response = await client.fetch("http://reviews/");
  expect(response.status).toBe(200);
  const broke = await response.text().catch((error: unknown) => error);
  const codes = [broke, (broke as Error).cause].map((error) => isMeshError(error, "MAX_DURATION_EXCEEDED"));
  expect(codes).toContain(true);
  await closed.promise;
});

test("the default timeout is told once, and not at all where a policy sets one", async () => {
  await using server = await serve((_request, response) => void response.end());
  const noticesOf = async (snapshot: ReturnType<typeof snapshotOf>) => {
    const notices: string[] = [];
    await using client = clientOf(snapshot, { onNotice: (text) => notices.push(text) });
    await client.fetch("http://reviews/");
    return notices;
  };
  const services = { reviews: { endpoints: [server.endpoint] }, ratings: { endpoints: [server.endpoint] } };
  expect(await noticesOf(snapshotOf(services))).toEqual([expect.stringContaining("15s")]);
  const mesh: MeshPolicy = { kind: "Mesh", name: "mesh", defaults: { timeout: "3s" } };
  expect(await noticesOf(snapshotOf(services, mesh))).toEqual([]);
});

test("what is left of a gRPC caller's timeout travels on in gRPC's header and in Envoy's", async () => {
  const seen: unknown[] = [];
  await using server = await serve((request, response) => {
    seen.push(request.headers["grpc-timeout"], request.headers["x-envoy-expected-rq-timeout-ms"]);
    response.end();
  });
  await using client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint] } }));
  await client.fetch("http://reviews/", { method: "POST", headers: { "grpc-timeout": "5S" } });
  const [grpc, envoy] = seen.map((value) => Number.parseInt(String(value), 10));
  expect(String(seen[0])).toMatch(/^\d+m$/);
  for (const leftMs of [grpc, envoy]) {
    expect(leftMs).toBeGreaterThan(0);
    expect(leftMs).toBeLessThanOrEqual(5_000);
  }
});
