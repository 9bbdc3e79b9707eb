import { describe, expect, test } from "vitest";
import { clientOf, serve, snapshotOf } from "./mesh-of-servers.ts";

const off = { retry: false } as const;

describe("a service with several ports", () => {
  test("is called on each of them, and on no other", async () => {
    await using server = await serve((request, response) => response.end(request.headers.host));
    await using client = clientOf(
      snapshotOf({ reviews: { endpoints: [server.endpoint], policy: { ports: [8080, 9090] } } }),
    );
    expect(await (await client.fetch("http://reviews:8080/")).text()).toBe("reviews:8080");
    expect(await (await client.fetch("http://reviews/")).text()).toBe("reviews");
    await expect(client.fetch("http://reviews:7070/")).rejects.toMatchObject({
      code: "UNKNOWN_SERVICE",
      message: expect.stringContaining("default/reviews has port 80, 8080, 9090, not 7070"),
    });
  });
});

describe("what a subset or a port says otherwise", () => {
  const held = async () => {
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const server = await serve(
      async (_request, response) => {
        await released;
        response.end("ok");
      },
      { version: "v1" },
    );
    return { server, release };
  };

  test("bounds its own calls alone", async () => {
    const { server, release } = await held();
    await using _ = server;
    await using client = clientOf(
      snapshotOf({
        reviews: {
          endpoints: [server.endpoint],
          policy: {
            ports: [8080],
            subsets: { v1: { version: "v1" } },
            subsetPolicies: {
              v1: {
                connectionPool: { maxRequests: 2 },
                portPolicies: { "8080": { connectionPool: { maxRequests: 1 } } },
              },
            },
          },
          routes: [
            {
              kind: "Route",
              name: "r",
              services: ["reviews"],
              rules: [{ match: [{ path: { prefix: "/v1" } }], split: [{ subset: "v1" }] }],
            },
          ],
        },
      }),
    );
    const call = (url: string) => client.fetch(url, { mesh: off });
    const onPort = call("http://reviews:8080/v1");
    await expect(call("http://reviews:8080/v1")).rejects.toMatchObject({ code: "OVERFLOW_REQUESTS" });
    const ofSubset = [call("http://reviews/v1"), call("http://reviews/v1")];
    await expect(call("http://reviews/v1")).rejects.toMatchObject({ code: "OVERFLOW_REQUESTS" });
    const others = [call("http://reviews/"), call("http://reviews:8080/"), call("http://reviews/")];
    release();
    for (const each of [onPort, ...ofSubset, ...others]) expect((await each).status).toBe(200);
  });

  test("has a circuit of its own", async () => {
    let calls = 0;
    await using server = await serve((_request, response) => {
      calls++;
      response.writeHead(503).end();
    });
    const circuitBreaker = { minimumVolume: 1, errorPercent: 1 } as const;
    await using client = clientOf(
      snapshotOf({
        reviews: {
          endpoints: [server.endpoint],
          policy: {
            ports: [8080],
            outlierDetection: false,
            circuitBreaker: false,
            portPolicies: { "8080": { circuitBreaker } },
          },
        },
      }),
    );
    const statusOn = async (url: string) => (await client.fetch(url, { mesh: off })).status;
    expect(await statusOn("http://reviews:8080/")).toBe(503);
    await expect(statusOn("http://reviews:8080/")).rejects.toMatchObject({ code: "CIRCUIT_OPEN" });
    expect(await statusOn("http://reviews/")).toBe(503);
    expect(await statusOn("http://reviews/")).toBe(503);
    expect(calls).toBe(3);
  });
});
