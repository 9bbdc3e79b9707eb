import type { InboundSnapshot } from "@tulle/policy";
import { Watchable } from "@tulle/time";
import { expect, test } from "vitest";
import { call, inbound, testServer } from "./fixtures.ts";

test("a plaintext call reaches the handler where the policy turns mTLS off", async () => {
  const server = testServer();
  const listener = await server.listen((_request, response) => response.end("hello"), { port: 0, host: "127.0.0.1" });
  expect(listener.transport).toBe("plaintext");
  expect(await call(listener.port)).toMatchObject({ status: 200, body: "hello" });
  expect(server.counters()).toMatchObject({ visits: 1 });
});

test("nothing is served before the first inbound policy is known", async () => {
  const policy = new Watchable<InboundSnapshot | undefined>(undefined);
  const server = testServer({ inbound: policy });
  const listener = await server.listen((_request, response) => response.end("hello"), { port: 0, host: "127.0.0.1" });
  expect(await call(listener.port)).toMatchObject({ status: 503, body: "Service Unavailable\n" });
  expect(server.counters()["refused.NOT_READY"]).toBe(1);
  policy.set(inbound("disable"));
  expect(await call(listener.port)).toMatchObject({ status: 200, body: "hello" });
});
