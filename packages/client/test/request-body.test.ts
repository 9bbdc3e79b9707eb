import { AsyncLocalStorage } from "node:async_hooks";
import { EventEmitter, once } from "node:events";
import type { RequestListener } from "node:http";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { finished } from "node:stream/promises";
import { request } from "undici";
import { describe, expect, test, vi } from "vitest";
import type { Client } from "../src/create-client.ts";
import { clientOf, serve, snapshotOf } from "./mesh-of-servers.ts";

/** A client of one server, and both ways to call it: the mesh's own and undici's. */
const calling = async (listener: RequestListener) => {
  const reviews = await serve(listener);
  const client = clientOf(
    snapshotOf({
      reviews: { endpoints: [reviews.endpoint], policy: { connectionPool: { maxConnectionsPerEndpoint: 1 } } },
    }),
  );
  return {
    client,
    server: reviews.server,
    byMesh: client.request,
    byUndici: ((url, options) => request(url, { ...options, dispatcher: client.dispatcher })) as Client["request"],
    [Symbol.asyncDispose]: async () => {
      await client.close();
      await reviews[Symbol.asyncDispose]();
    },
  };
};

/** Two chunks, the second of which ends within a character of three bytes begun in the first; then trailers. */
const answerInParts: RequestListener = (_incoming, response) => {
  const body = Buffer.from('{"word":"a€b"}');
  const cut = body.indexOf("€") + 1;
  response.writeHead(200, { "content-type": "application/json", trailer: "x-end" });
  response.write(body.subarray(0, cut));
  setImmediate(() => {
    response.addTrailers({ "x-end": "yes" });
    response.end(body.subarray(cut));
  });
};
const whole = '{"word":"a€b"}';

describe("a body of mesh.request", () => {
  test.each(["byMesh", "byUndici"] as const)("is read whole in each form, and as a stream: %s", async (way) => {
    await using reviews = await calling(answerInParts);
    const body = async () => (await reviews[way]("http://reviews/")).body;
    expect(await (await body()).text()).toBe(whole);
    expect(await (await body()).json()).toEqual({ word: "a€b" });
    expect(Buffer.from(await (await body()).bytes()).toString()).toBe(whole);
    expect(Buffer.from(await (await body()).arrayBuffer()).toString()).toBe(whole);
    const blob = await (await body()).blob();
    expect([blob.type, await blob.text()]).toEqual(["application/json", whole]);
    await expect((await body()).formData()).rejects.toThrow("Not supported");
    expect(await body()).toBeInstanceOf(Readable);
    expect(await text(await body())).toBe(whole);
    const web = (await body()).body as unknown as ReadableStream;
    expect(await new Response(web).text()).toBe(whole);
    const decoded = (await body()).setEncoding("utf8");
    expect((await decoded.toArray()).join("")).toBe(whole);
    expect(await (await body()).setEncoding("hex").text()).toBe(Buffer.from(whole).toString("hex"));
  });

  test.each(["byMesh", "byUndici"] as const)("ends as a stream too when it is read whole: %s", async (way) => {
    await using reviews = await calling(answerInParts);
    const { body, trailers } = await reviews[way]("http://reviews/");
    expect(body.bodyUsed).toBe(false);
    const events: string[] = [];
    for (const name of ["end", "close"]) body.on(name, () => events.push(name));
    const over = finished(body);
    expect(await body.text()).toBe(whole);
    await over;
    await vi.waitFor(() => expect(events).toEqual(["end", "close"]));
    expect([body.bodyUsed, body.readableEnded, body.destroyed]).toEqual([true, true, true]);
    expect(trailers).toEqual({ "x-end": "yes" });
    await expect(async () => body.text()).rejects.toThrow();
  });

  test.each(["byMesh", "byUndici"] as const)("is told to listeners and gathered at once: %s", async (way) => {
    await using reviews = await calling(answerInParts);
    const { body } = await reviews[way]("http://reviews/");
    const seen: Buffer[] = [];
    body.on("data", (chunk: Buffer) => seen.push(chunk));
    expect(await body.text()).toBe(whole);
    expect(Buffer.concat(seen).toString()).toBe(whole);
  });

  test.each(["byMesh", "byUndici"] as const)("is unusable once somebody has read of it: %s", async (way) => {
    await using reviews = await calling(answerInParts);
    const { body } = await reviews[way]("http://reviews/");
    for await (const _chunk of body) break;
    await expect(body.text()).rejects.toThrow();
    const locked = (await reviews[way]("http://reviews/")).body;
    (locked.body as unknown as ReadableStream).getReader();
    await expect(locked.json()).rejects.toThrow("unusable");
  });

  test("what is no JSON rejects, and the connection lives on", async () => {
    await using reviews = await calling((_incoming, response) => response.end("no JSON"));
    await expect((await reviews.byMesh("http://reviews/")).body.json()).rejects.toThrow(SyntaxError);
    await (await reviews.byMesh("http://reviews/")).body.dump();
    expect(reviews.client.counters().connections).toBe(1);
  });

  test("a slow reader pauses the sender, and gets all", async () => {
    const size = 8 * 1_048_576;
    let written = false;
    await using reviews = await calling((_incoming, response) => {
      response.write(Buffer.alloc(size), () => {
        written = true;
      });
      response.end();
    });
    const { body } = await reviews.byMesh("http://reviews/");
    await once(body, "readable");
    await vi.waitFor(() => expect(body.readableLength).toBeGreaterThanOrEqual(65_536));
    expect(written).toBe(false);
    let read = 0;
    for await (const chunk of body) read += (chunk as Buffer).length;
    expect([read, written]).toEqual([size, true]);
  });

  test.each(["text", "stream", "unread"] as const)("destroying it aborts the exchange: %s", async (how) => {
    await using reviews = await calling((_incoming, response) => void response.write("first"));
    const seen = once(reviews.server, "request") as Promise<[{ destroyed: boolean }]>;
    const { body } = await reviews.byMesh("http://reviews/");
    const [incoming] = await seen;
    const failed = once(body, "error").catch((error: unknown) => [error]);
    const reading =
      how === "text" ? body.text() : how === "stream" ? text(body) : failed.then(([error]) => Promise.reject(error));
    const outcome = reading.catch((error: unknown) => error);
    body.destroy();
    expect(await outcome).toMatchObject({ code: "UND_ERR_ABORTED" });
    await vi.waitFor(() => expect(incoming.destroyed).toBe(true));
  });

  test.each(["text", "stream", "unread"] as const)("one that breaks off fails its reader: %s", async (how) => {
    await using reviews = await calling((_incoming, response) => {
      response.writeHead(200, { "content-length": "100" }).write("first");
      setImmediate(() => response.destroy());
    });
    const { body } = await reviews.byMesh("http://reviews/");
    if (how === "unread") await vi.waitFor(() => expect(body.destroyed).toBe(true));
    await expect(how === "stream" ? text(body) : body.text()).rejects.toMatchObject({ code: "REPLY_BROKEN" });
    expect(body.destroyed).toBe(true);
  });

  test("one that is longer than dump's limit is aborted, a shorter one is read", async () => {
    await using reviews = await calling((incoming, response) => {
      if (incoming.url === "/endless") response.write(Buffer.alloc(10_000));
      else if (incoming.url === "/long") response.writeHead(200, { "content-length": "200000" }).write("x");
      else response.end("short");
    });
    for (const [path, connections] of [
      ["/short", 1],
      ["/long", 1],
      ["/endless", 2],
      ["/short", 3],
    ] as const) {
      const { body } = await reviews.byMesh(`http://reviews${path}`);
      await body.dump({ limit: 1_000 });
      expect([path, body.destroyed, reviews.client.counters().connections]).toEqual([path, true, connections]);
    }
  });

  test("its events run in the caller's async context, also behind others on one connection", async () => {
    await using reviews = await calling((incoming, response) => {
      response.write(`${incoming.url}:`);
      setImmediate(() => response.end("end"));
    });
    const store = new AsyncLocalStorage<string>();
    const seen: [string, string | undefined][] = [];
    const read = (name: string) =>
      store.run(name, async () => {
        const { body } = await reviews.byMesh(`http://reviews/${name}`);
        for (const event of ["data", "end", "close"]) body.on(event, () => seen.push([name, store.getStore()]));
        await finished(body);
      });
    await Promise.all(["a", "b", "c", "d"].map(read));
    expect(seen.length).toBeGreaterThanOrEqual(12);
    expect(seen.filter(([name, found]) => name !== found)).toEqual([]);
  });
});

describe("options of mesh.request", () => {
  test("raw headers, opaque and HEAD are as in undici", async () => {
    await using reviews = await calling((_incoming, response) => {
      response.writeHead(200, ["X-Tag", "a", "X-Tag", "b", "Content-Length", "5"]).end("five!");
    });
    const options = { responseHeaders: "raw", opaque: { mine: 1 }, method: "HEAD" } as const;
    const mine = await reviews.byMesh("http://reviews/", options);
    const theirs = await reviews.byUndici("http://reviews/", options);
    const date = (headers: unknown) => (headers as string[]).filter((each) => !each.includes("GMT"));
    expect(date(mine.headers)).toEqual(date(theirs.headers));
    expect(date(mine.headers)).toContain("X-Tag");
    expect([mine.opaque, mine.statusText, await mine.body.text()]).toEqual([{ mine: 1 }, "OK", ""]);
  });

  test("an emitter is a signal, and no listener is left on any", async () => {
    await using reviews = await calling((incoming, response) => {
      if (incoming.url === "/answered") response.end("alive");
    });
    const emitter = new EventEmitter();
    await (await reviews.byMesh("http://reviews/answered", { signal: emitter })).body.text();
    expect(emitter.listenerCount("abort")).toBe(0);
    const seen = once(reviews.server, "request");
    const call = reviews.byMesh("http://reviews/never", { signal: emitter });
    await seen;
    emitter.emit("abort");
    await expect(call).rejects.toMatchObject({ code: "UND_ERR_ABORTED" });
    expect(emitter.listenerCount("abort")).toBe(0);
  });

  test("a signal that has spoken stops a call before it begins, and a body before it is read", async () => {
    await using reviews = await calling((_incoming, response) => response.end("alive"));
    const body = Readable.from(["x"]);
    const early = reviews.byMesh("http://reviews/", {
      signal: AbortSignal.abort(new Error("enough")),
      method: "POST",
      body,
    });
    await expect(early).rejects.toThrow("enough");
    expect(body.destroyed).toBe(true);
    const abort = new AbortController();
    const late = await reviews.byMesh("http://reviews/", { signal: abort.signal });
    abort.abort(new Error("enough"));
    await expect(late.body.text()).rejects.toThrow("enough");
  });

  test.each([
    ["a signal that is none", { signal: {} as never }, "UND_ERR_INVALID_ARG"],
    ["a negative highWaterMark", { highWaterMark: -1 }, "UND_ERR_INVALID_ARG"],
    ["CONNECT", { method: "CONNECT" as const }, "INVALID_CALL"],
    ["an upgrade", { upgrade: "websocket" }, "INVALID_CALL"],
    ["an unknown option of the mesh", { mesh: { retry: 99 } }, "INVALID_CALL"],
  ])("%s is refused", async (_name, options, code) => {
    await using reviews = await calling((_incoming, response) => response.end());
    await expect(reviews.byMesh("http://reviews/", options)).rejects.toMatchObject({ code });
  });
});
