import type { RequestListener, ServerResponse } from "node:http";
import { createTestAuthority, FakeClock } from "@tulle/testing";
import { constant } from "@tulle/time";
import { expect, test, vi } from "vitest";
import { LAG_SAMPLE_MS } from "../src/transport/loop-lag.ts";
import { SILENCE_MS } from "../src/transport/silence.ts";
import { clientOf, endpointAt, snapshotOf } from "./mesh-of-servers.ts";
import { TestServer } from "./transport-kit.ts";

const authority = await createTestAuthority("cluster.local");
const reviews = await authority.issue({ serviceAccount: "reviews" });
const credentials = constant(await authority.issue({ serviceAccount: "productpage" }));

const serve = (listener: RequestListener) =>
  TestServer.https(
    { key: reviews.privateKey, cert: reviews.certificateChain, ca: [authority.root], requestCert: true },
    listener,
  );

const setUp = async (servers: readonly TestServer[]) => {
  const clock = new FakeClock();
  const endpoints = servers.map(({ port }) => ({ ...endpointAt(port), transport: "mtls" as const }));
  const policy = { balancer: { algorithm: "round-robin" } } as const;
  const client = clientOf(snapshotOf({ reviews: { endpoints, policy } }), { clock, credentials });
  const call = (method = "GET") =>
    client.request("http://reviews/", { method, ...(method === "POST" ? { body: "a review" } : {}) }).then(
      async ({ body }) => body.text(),
      (error: { code?: string }) => error.code ?? String(error),
    );
  const passTime = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += LAG_SAMPLE_MS) {
      clock.advance(LAG_SAMPLE_MS);
      await new Promise(setImmediate);
    }
  };
  return { clock, client, call, passTime };
};

/** A server that never answers, and can be cut from the network but for the connections that it has. */
const serveNothing = async () => {
  const waiting: ServerResponse[] = [];
  const server = await serve((_request, response) => void waiting.push(response));
  return { server, waiting, heard: (calls: number) => vi.waitFor(() => expect(waiting).toHaveLength(calls)) };
};

test("calls that wait for an endpoint which says nothing and takes no connection go elsewhere, but a POST stays", async () => {
  const silent = await serveNothing();
  await using _silent = silent.server;
  await using good = await serve((_request, response) => response.end("ok"));
  const { client, call, passTime, clock } = await setUp([silent.server, good]);
  await using _client = client;
  const answers: string[] = [];
  const calls = ["POST", "POST", "GET", "GET"].map((method) =>
    call(method).then((answer) => void answers.push(`${method} ${answer}`)),
  );
  await silent.heard(2);
  silent.server.server.close();
  await passTime(SILENCE_MS + LAG_SAMPLE_MS);
  await vi.waitFor(() => expect(client.counters()).toMatchObject({ silenceProbes: 1, silences: 1 }));
  await vi.waitFor(() => {
    // The retry waits for its back-off, which begins when its attempt has failed.
    clock.advance(25);
    expect(answers.toSorted()).toEqual(["GET ok", "GET ok", "POST ok"]);
  });
  clock.advance(15_000);
  await Promise.all(calls);
  expect(answers.at(-1)).toBe("POST DEADLINE_EXCEEDED");
});

test("a slow answer of an endpoint that lives is waited for", async () => {
  const slow = await serveNothing();
  await using _slow = slow.server;
  await using good = await serve((_request, response) => response.end("ok"));
  const { client, call, passTime } = await setUp([slow.server, good]);
  await using _client = client;
  const calls = [call(), call()];
  await slow.heard(1);
  await passTime(SILENCE_MS + LAG_SAMPLE_MS);
  await vi.waitFor(() => expect(client.counters().handshakes).toBe(3));
  await passTime(SILENCE_MS);
  slow.waiting[0]?.end("late");
  expect((await Promise.all(calls)).sort()).toEqual(["late", "ok"]);
  expect(client.counters()).toMatchObject({ silenceProbes: 1, silences: 0, retries: 0 });
});

test("where nobody else is left, calls wait for the endpoint that is silent", async () => {
  const silent = await serveNothing();
  await using _silent = silent.server;
  const { client, call, passTime } = await setUp([silent.server]);
  await using _client = client;
  const answer = call();
  await silent.heard(1);
  silent.server.server.close();
  await passTime(SILENCE_MS + LAG_SAMPLE_MS);
  await vi.waitFor(() => expect(client.counters().silences).toBe(1));
  silent.waiting[0]?.end("late");
  expect(await answer).toBe("late");
});
