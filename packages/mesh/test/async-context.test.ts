import { AsyncLocalStorage } from "node:async_hooks";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { createTestAuthority } from "@tulle/testing";
import { request } from "undici";
import { afterEach, expect, test } from "vitest";
import { createMesh, type FixedMesh } from "../src/create-mesh.ts";
import type { FixedEndpoint } from "../src/fixed-snapshot.ts";

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]();
});

/** A backend that tells what it was sent, slowly enough that calls queue up. */
const backend = async (): Promise<number> => {
  const server = createServer((incoming, outgoing) => {
    const delayMs = Number(new URL(incoming.url ?? "/", "http://backend").searchParams.get("delay") ?? 5);
    setTimeout(() => outgoing.end(JSON.stringify({ url: incoming.url, headers: incoming.headers })), delayMs);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  open.push(server);
  return (server.address() as AddressInfo).port;
};

const meshOver = (port: number): FixedMesh => {
  const mesh = createMesh({
    policies: [{ kind: "Service", name: "backend", connectionPool: { maxConnectionsPerEndpoint: 1 } }],
    endpoints: { backend: [`127.0.0.1:${port}`] },
    service: "front",
  });
  open.push(mesh);
  return mesh;
};

const traceparent = (id: number): string => `00-${String(id).padStart(32, "0")}-${"1".repeat(16)}-01`;

test("calls queued on one connection, each in its own async context, never mix their contexts", async () => {
  const mesh = meshOver(await backend());
  const storage = new AsyncLocalStorage<number>();
  const ids = Array.from({ length: 30 }, (_, index) => index + 1);
  const seen = await Promise.all(
    ids.map((id) =>
      storage.run(id, async () => {
        const contexts: (number | undefined)[] = [];
        const { body } = await request(`http://backend/${id}`, { dispatcher: mesh.dispatcher });
        contexts.push(storage.getStore());
        body.on("data", () => contexts.push(storage.getStore()));
        const { url } = (await body.json()) as { url: string };
        contexts.push(storage.getStore());
        const response = await mesh.fetch(`http://backend/${id}`);
        contexts.push(storage.getStore());
        await response.text();
        contexts.push(storage.getStore());
        return { id, url, contexts: new Set(contexts) };
      }),
    ),
  );
  for (const { id, url, contexts } of seen) {
    expect(url).toBe(`/${id}`);
    expect(contexts).toEqual(new Set([id]));
  }
});

/** A member that passes each visit on to the backend and answers with what the backend was sent. */
const middle = async (mesh: FixedMesh): Promise<number> => {
  const listener = await mesh.listen(
    createServer((incoming, outgoing) => {
      mesh.fetch(`http://backend${incoming.url}`).then(
        async (answer) => outgoing.end(await answer.text()),
        (error: unknown) => outgoing.writeHead(500).end(String(error)),
      );
    }),
    { port: 0, host: "127.0.0.1", signals: false },
  );
  return listener.port;
};

const authority = await createTestAuthority();

const member = async (service: string, endpoints: Record<string, (string | FixedEndpoint)[]>): Promise<FixedMesh> => {
  const mesh = createMesh({
    policies: [{ kind: "Service", name: "backend", connectionPool: { maxConnectionsPerEndpoint: 1 } }],
    endpoints,
    service,
    credentials: await authority.issue({ serviceAccount: service }),
  });
  open.push(mesh);
  return mesh;
};

test("visits that share one connection hand down their own deadline, baggage and trace, and no other's", async () => {
  const address = { address: "127.0.0.1", port: await backend(), transport: "plaintext" } as const;
  const port = await middle(await member("middle", { backend: [address] }));
  const front = await member("front", { middle: [`127.0.0.1:${port}`] });
  const ids = Array.from({ length: 20 }, (_, index) => index + 1);
  const answers = await Promise.all(
    ids.map(async (id) => {
      const answer = await front.fetch(`http://middle/${id}`, {
        headers: { traceparent: traceparent(id), baggage: `visit=${id}` },
        mesh: { timeout: id * 500 },
      });
      return { id, status: answer.status, text: await answer.text() };
    }),
  );
  for (const { id, status, text } of answers) {
    expect({ status, text }).toMatchObject({ status: 200 });
    const { url, headers } = JSON.parse(text) as { url: string; headers: IncomingHttpHeaders };
    expect(url).toBe(`/${id}`);
    expect(headers.baggage).toBe(`visit=${id}`);
    expect(headers.traceparent).toContain(traceparent(id).slice(3, 35));
    const remaining = Number(headers["x-envoy-expected-rq-timeout-ms"]);
    // Each visit has its own time, half a second more than its neighbour's, and all below the mesh's 15 s.
    expect(remaining).toBeGreaterThan((id - 1) * 500);
    expect(remaining).toBeLessThanOrEqual(id * 500);
  }
});

test("a timer made inside a visit that calls after the visit ended has no dead deadline", async () => {
  const address = { address: "127.0.0.1", port: await backend(), transport: "plaintext" } as const;
  const mesh = await member("middle", { backend: [address] });
  const late = Promise.withResolvers<unknown>();
  const inside = Promise.withResolvers<unknown>();
  const listener = await mesh.listen(
    createServer(async (incoming, outgoing) => {
      if (incoming.url === "/warm-up") return outgoing.end();
      outgoing.on("close", () => {
        setTimeout(
          () => mesh.fetch("http://backend/late").then((answer) => late.resolve(answer.status), late.resolve),
          20,
        );
      });
      // The rest of the visit's time is too short for the backend: a call made inside it fails.
      inside.resolve(await mesh.fetch("http://backend/inside?delay=2000").catch((error: unknown) => error));
      outgoing.end("done");
    }),
    { port: 0, host: "127.0.0.1", signals: false },
  );
  const front = await member("front", { middle: [`127.0.0.1:${listener.port}`] });
  await (await front.fetch("http://middle/warm-up")).text();
  await front
    .fetch("http://middle/", { mesh: { timeout: 100, retry: false } })
    .then((answer) => answer.text())
    .catch(() => undefined);
  expect(await inside.promise).toMatchObject({ code: expect.stringMatching(/^DEADLINE_/) });
  expect(await late.promise).toBe(200);
});
