import type { IncomingMessage, RequestListener } from "node:http";
import { Readable } from "node:stream";
import { isMeshError } from "@tulle/policy";
import { expect, test, vi } from "vitest";
import { REPLAY_BOUND_BYTES } from "../src/retry/replay-body.ts";
import { clientOf, type RunningServer, serve, snapshotOf } from "./mesh-of-servers.ts";

const clientOfBoth = (...servers: readonly RunningServer[]) =>
  clientOf(
    snapshotOf({
      reviews: {
        endpoints: servers.map(({ endpoint }) => endpoint),
        policy: { balancer: { algorithm: "round-robin" }, circuitBreaker: false },
      },
    }),
  );

const readWhole = async (request: IncomingMessage): Promise<number> => {
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) bytes += chunk.length;
  return bytes;
};

/** Remembers how long each body was that came whole. */
const sink = (received: number[]): RequestListener => {
  return (request, response) =>
    void readWhole(request).then(
      (bytes) => {
        received.push(bytes);
        response.end("ok");
      },
      () => undefined,
    );
};

/** Chunks of 8 KiB with turns of the loop between them, and whether the source was given up. */
const upload = (bytes: number) => {
  const seen = { read: 0, over: false };
  const source = Readable.from(
    (async function* () {
      try {
        for (; seen.read < bytes; seen.read += 8_192) {
          await new Promise((resolve) => setImmediate(resolve));
          yield Buffer.alloc(Math.min(8_192, bytes - seen.read), "x");
        }
      } finally {
        seen.over = true;
      }
    })(),
  );
  return { source, seen };
};

/** Four calls, so that with two endpoints in turn some meet the bad one first. */
const CALLS = [0, 1, 2, 3];

test("a small stream whose connection breaks in the middle reaches the next endpoint whole", async () => {
  const received: number[] = [];
  await using broken = await serve((request) => void request.once("data", () => request.socket.resetAndDestroy()));
  await using good = await serve(sink(received));
  await using client = clientOfBoth(broken, good);
  for (const _ of CALLS) {
    const { source } = upload(REPLAY_BOUND_BYTES);
    const { statusCode, body } = await client.request("http://reviews/", { method: "PUT", body: source });
    expect([statusCode, await body.text()]).toEqual([200, "ok"]);
  }
  expect(received).toEqual(CALLS.map(() => REPLAY_BOUND_BYTES));
  expect(client.counters().retries).toBeGreaterThan(0);
});

test("a stream whose endpoint answers 503 before it has read it reaches the next endpoint whole", async () => {
  const received: number[] = [];
  await using busy = await serve((_request, response) => void response.writeHead(503).end());
  await using good = await serve(sink(received));
  await using client = clientOfBoth(busy, good);
  for (const _ of CALLS) {
    const { source } = upload(40_000);
    const response = await client.fetch("http://reviews/", {
      method: "PUT",
      body: Readable.toWeb(source) as ReadableStream,
      duplex: "half",
    } as RequestInit);
    expect([response.status, await response.text()]).toEqual([200, "ok"]);
  }
  expect(received).toEqual(CALLS.map(() => 40_000));
});

test("a large stream is sent once, fails with its own code where that was in vain, and is counted and given up", async () => {
  const large = 16 * REPLAY_BOUND_BYTES;
  await using broken = await serve((request) => {
    let bytes = 0;
    request.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > 4 * REPLAY_BOUND_BYTES) request.socket.resetAndDestroy();
    });
  });
  await using client = clientOfBoth(broken);
  const { source, seen } = upload(large);
  const failure = await client
    .request("http://reviews/", { method: "PUT", body: source })
    .catch((error: unknown) => error);
  expect(isMeshError(failure, "CONNECTION_TERMINATED")).toBe(true);
  const { retries, retriesWithoutBody, bodiesBeyondReplay } = client.counters();
  expect([retries, retriesWithoutBody, bodiesBeyondReplay]).toEqual([0, 1, 1]);
  await vi.waitFor(() => expect(seen.over).toBe(true));
  expect(seen.read).toBeLessThan(large);
});

test("a reader that does not read stops the source: nothing is gathered in between", async () => {
  let go: (() => void) | undefined;
  await using slow = await serve((request, response) => {
    go = () => void readWhole(request).then((bytes) => response.end(String(bytes)));
  });
  await using client = clientOfBoth(slow);
  const large = 64 * 1_024 * 1_024;
  const { source, seen } = upload(large);
  const reply = client.request("http://reviews/", { method: "PUT", body: source });
  let before = -1;
  // The source stands still once the sockets' own buffers are full.
  await vi.waitFor(
    () => {
      const still = seen.read > 0 && seen.read === before;
      before = seen.read;
      expect(still).toBe(true);
    },
    { interval: 100, timeout: 10_000 },
  );
  expect(seen.read).toBeLessThan(large / 2);
  go?.();
  const { body } = await reply;
  expect(await body.text()).toBe(String(large));
});

test("a source is given up when the answer came and the connection closed before all of it was sent", async () => {
  await using early = await serve((_request, response) => {
    response.writeHead(413, { connection: "close" }).end("too large");
  });
  await using client = clientOfBoth(early);
  const { source, seen } = upload(64 * 1_024 * 1_024);
  const { statusCode, body } = await client.request("http://reviews/", { method: "PUT", body: source });
  expect(statusCode).toBe(413);
  await body.text().catch(() => undefined);
  await vi.waitFor(() => expect(seen.over).toBe(true));
});
