import { isMeshError } from "@tulle/policy";
import { describe, expect, test } from "vitest";
import { clientOf, endpointAt, serve, snapshotOf } from "./mesh-of-servers.ts";

describe("mesh.request", () => {
  test("reaches an endpoint of the service that the host names", async () => {
    await using reviews = await serve((request, response) => {
      response.setHeader("x-seen-host", request.headers.host ?? "");
      response.setHeader("x-seen-attempt", request.headers["x-envoy-attempt-count"] ?? "");
      response.end(JSON.stringify({ path: request.url }));
    });
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [reviews.endpoint] } }));

    const { statusCode, headers, body } = await client.request("http://reviews/reviews/7?full=1");

    expect(statusCode).toBe(200);
    expect(await body.json()).toEqual({ path: "/reviews/7?full=1" });
    expect(headers["x-seen-host"]).toBe("reviews");
    expect(headers["x-seen-attempt"]).toBe("1");
  });

  test("a service without endpoints fails typed, with the way of the call", async () => {
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [] } }));
    const error = await client.request("http://reviews/7").catch((caught: unknown) => caught);
    expect(isMeshError(error, "NO_HEALTHY_ENDPOINT")).toBe(true);
    expect((error as Error).message).toContain("service default/reviews");
  });

  test("a GET to an endpoint that nobody listens on is answered by the other", async () => {
    await using reviews = await serve((_request, response) => response.end("alive"));
    await using gone = await serve(() => undefined);
    const dead = endpointAt(gone.endpoint.port);
    await gone[Symbol.asyncDispose]();
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [dead, reviews.endpoint] } }));
    for (let call = 0; call < 20; call++) {
      const { statusCode, body } = await client.request("http://reviews/");
      expect([statusCode, await body.text()]).toEqual([200, "alive"]);
    }
    expect(client.counters().retries).toBeGreaterThan(0);
  });
});
