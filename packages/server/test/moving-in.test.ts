import type { AccessPolicy } from "@tulle/policy";
import { createTestAuthority } from "@tulle/testing";
import { constant } from "@tulle/time";
import { describe, expect, test } from "vitest";
import { call, inbound, testServer } from "./fixtures.ts";
import { recordTelemetry } from "./telemetry.ts";

const nobody: AccessPolicy = { kind: "Access", name: "nobody" };

const serve = async (mode: "off" | "observe" | "client" | "full", credentials?: Parameters<typeof testServer>[0]) => {
  const server = testServer({ mode, inbound: constant(inbound("strict", [nobody])), ...credentials });
  const listener = await server.listen(
    (request, response) => response.end(JSON.stringify(request.headers["x-envoy-attempt-count"] ?? null)),
    { port: 0, host: "127.0.0.1" },
  );
  return { server, listener };
};

describe.each(["observe", "client"] as const)("in the mode %s", (mode) => {
  test("what would be refused is served and noted, and headers stay as they came", async () => {
    const telemetry = recordTelemetry();
    const { server, listener } = await serve(mode);
    expect(listener.transport).toBe("plaintext");
    const answer = await call(listener.port, { headers: { "x-envoy-attempt-count": "2" } });
    expect(answer).toMatchObject({ status: 200, body: '"2"' });
    expect(server.counters()).toMatchObject({ observedRefusals: 1, "refused.PLAINTEXT_REFUSED": 0 });
    expect((await telemetry.points("tulle.server.refusals")).map((point) => point.attributes)).toEqual([
      { "tulle.error.code": "PLAINTEXT_REFUSED", "tulle.enforced": false, "tulle.source": "unknown" },
    ]);
  });

  test("mTLS, plaintext and even a bad certificate are served on one port", async () => {
    const authority = await createTestAuthority();
    const credentials = constant(await authority.issue({ serviceAccount: "reviews" }));
    const { server, listener } = await serve(mode, { credentials });
    expect(listener.transport).toBe("mtls");
    expect(await call(listener.port)).toMatchObject({ status: 200 });
    expect(await call(listener.port, { as: await authority.issue() })).toMatchObject({ status: 200 });
    expect(await call(listener.port, { as: await authority.issue({ expired: true }) })).toMatchObject({ status: 200 });
    expect(server.counters()).toMatchObject({ "refused.PEER_EXPIRED": 0 });
  });
});

test("in the mode off everything passes through untouched and unseen", async () => {
  const telemetry = recordTelemetry();
  const { server, listener } = await serve("off");
  expect(listener.transport).toBe("plaintext");
  const answer = await call(listener.port, { headers: { "x-envoy-attempt-count": "2" } });
  expect(answer).toMatchObject({ status: 200, body: '"2"' });
  expect(server.counters()).toMatchObject({ observedRefusals: 0 });
  expect(await telemetry.spans()).toEqual([]);
  expect(await telemetry.points("http.server.request.duration")).toEqual([]);
});
