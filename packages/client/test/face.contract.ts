import { createHash } from "node:crypto";
import { once } from "node:events";
import { type ClientRequest, type IncomingMessage, request as requestOverHttp } from "node:http";
import { type Duplex, PassThrough, pipeline as pipe, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, expect, test, vi } from "vitest";
import type { Client } from "../src/create-client.ts";
import { undici } from "../src/transport/undici.ts";
import { BLOCK, digestOfBlocks, type FaceServer, FLOOD_BLOCKS } from "./face-server.ts";

/** What a caller asks for, in words that every face can be told. */
export interface Ask {
  readonly path: string;
  readonly method?: string;
  /** Flat: names and values. */
  readonly headers?: readonly string[];
  readonly body?: AskBody;
  readonly signal?: AbortSignal;
  readonly onInfo?: (status: number, headers: Record<string, unknown>) => void;
}

type AskBody = string | Uint8Array | Readable | AsyncIterable<Uint8Array> | FormData | Blob;

/** What came back, in words of which every face knows some. */
export interface Answer {
  readonly status: number;
  readonly header: (name: string) => string | null;
  /** As the wire had them, where the face tells. */
  readonly rawHeaders?: readonly string[];
  readonly cookies: readonly string[];
  readonly body: Readable;
  /** Once the body was read, where the face tells. */
  readonly trailers?: () => Record<string, unknown>;
}

/** What a face may be unable to do by its nature. */
type Matter =
  | "trailers"
  | "informational replies"
  | "upgrade"
  | "Expect: 100-continue"
  | "FormData"
  | "Blob"
  | "raw headers"
  | "repeated headers"
  | "Request objects";

/** One way to make calls. */
export interface Face {
  readonly name: string;
  /** What it cannot do, and why that is its nature. */
  readonly cannot: Readonly<Partial<Record<Matter, string>>>;
  /** Whether it follows redirects and unpacks bodies: what WHATWG fetch does and others do not. */
  readonly isFetch: boolean;
  /** Whether it takes FormData of undici's copy alone. */
  readonly ownForms?: true;
  ask(client: Client, ask: Ask): Promise<Answer>;
  upgrade?(client: Client): Promise<Duplex>;
  askWith?(client: Client, request: unknown): Promise<Answer>;
}

const urlOf = (path: string): string => `http://reviews${path}`;

const one = (value: unknown): string | null =>
  value === undefined || value === null ? null : Array.isArray(value) ? value.join(", ") : String(value);

const many = (value: unknown): string[] =>
  value === undefined ? [] : Array.isArray(value) ? value.map(String) : [String(value)];

const pairsOf = (flat: readonly string[] = []): [string, string][] =>
  Array.from({ length: flat.length / 2 }, (_, at) => [flat[2 * at] ?? "", flat[2 * at + 1] ?? ""]);

const ofResponse = (response: Response): Answer => ({
  status: response.status,
  header: (name) => response.headers.get(name),
  cookies: response.headers.getSetCookie(),
  body: response.body === null ? Readable.from([]) : Readable.fromWeb(response.body as never),
});

const fetchInit = ({ method, headers, body, signal }: Ask): RequestInit =>
  ({
    method: method ?? (body === undefined ? "GET" : "POST"),
    headers: pairsOf(headers),
    ...(body === undefined ? {} : { body, duplex: "half" }),
    ...(signal === undefined ? {} : { signal }),
  }) as RequestInit;

/** What WHATWG fetch has no place for. */
const notInFetch = {
  trailers: "the standard's Response has no trailers",
  "informational replies": "the standard hands out final replies alone",
  upgrade: "the standard has no upgrades; WebSocket is the way",
  "Expect: 100-continue": "undici, which sends, refuses the header",
  "raw headers": "the standard's Headers are lower-case and joined",
  "repeated headers": "the standard's Headers join them",
} as const;

const viaUndici = { "Expect: 100-continue": "undici, which sends, refuses the header" } as const;

const notFetch = { "Request objects": "it takes no Request" } as const;

const ofData = (
  statusCode: number,
  headers: Record<string, unknown> | readonly string[],
  body: Readable,
  trailers?: () => Record<string, unknown>,
): Answer => {
  const flat = Array.isArray(headers) ? (headers as readonly string[]) : undefined;
  const valuesOf = (name: string): string[] =>
    flat === undefined
      ? many((headers as Record<string, unknown>)[name])
      : pairsOf(flat).flatMap(([each, value]) => (each.toLowerCase() === name ? [value] : []));
  return {
    status: statusCode,
    header: (name) => one(valuesOf(name).length === 0 ? undefined : valuesOf(name)),
    ...(flat === undefined ? {} : { rawHeaders: flat }),
    cookies: valuesOf("set-cookie"),
    body,
    ...(trailers === undefined ? {} : { trailers }),
  };
};

const undiciOptions = ({ method, headers, body, signal, onInfo }: Ask) =>
  ({
    method: method ?? (body === undefined ? "GET" : "POST"),
    headers: [...(headers ?? [])],
    responseHeaders: "raw",
    ...(body === undefined ? {} : { body }),
    ...(signal === undefined ? {} : { signal }),
    ...(onInfo === undefined
      ? {}
      : {
          onInfo: ({ statusCode, headers: raw }: { statusCode: number; headers: unknown }) =>
            onInfo(
              statusCode,
              Object.fromEntries(pairsOf(raw as string[]).map(([name, value]) => [name.toLowerCase(), value])),
            ),
        }),
  }) as object;

/** Writes a body into what takes bytes. */
const write = (body: AskBody | undefined, to: NodeJS.WritableStream): void => {
  if (body === undefined) to.end();
  else if (typeof body === "string" || body instanceof Uint8Array) to.end(body);
  // Whoever reads the answer hears of a body that broke off.
  else pipe(Readable.from(body as AsyncIterable<Uint8Array>), to, () => undefined);
};

/** Every face, with what it cannot do. */
export const faces: readonly Face[] = [
  {
    name: "mesh.fetch",
    cannot: notInFetch,
    isFetch: true,
    ask: async (client, ask) => ofResponse(await client.fetch(urlOf(ask.path), fetchInit(ask))),
    askWith: async (client, request) => ofResponse(await client.fetch(request as Request)),
  },
  {
    name: "mesh.request",
    cannot: { ...viaUndici, ...notFetch, upgrade: "it answers with a body" },
    isFetch: false,
    ownForms: true,
    ask: async (client, ask) => {
      const { statusCode, headers, body, trailers } = await client.request(urlOf(ask.path), undiciOptions(ask));
      return ofData(statusCode, headers, body, () => trailers);
    },
  },
  {
    name: "undici's request over mesh.dispatcher",
    cannot: { ...viaUndici, ...notFetch },
    isFetch: false,
    ownForms: true,
    ask: async ({ dispatcher }, ask) => {
      const { statusCode, headers, body, trailers } = await undici.request(urlOf(ask.path), {
        ...undiciOptions(ask),
        dispatcher,
      });
      return ofData(statusCode, headers, body, () => trailers);
    },
    upgrade: async ({ dispatcher }) => (await undici.upgrade(urlOf(""), { protocol: "echo", dispatcher })).socket,
  },
  {
    name: "undici's stream over mesh.dispatcher",
    cannot: { ...viaUndici, ...notFetch, upgrade: "undici's upgrade() is the function for it" },
    isFetch: false,
    ownForms: true,
    ask: ({ dispatcher }, ask) =>
      new Promise((resolve, reject) => {
        const body = new PassThrough();
        // A call that never began has no reader who would hear of it here.
        body.on("error", () => undefined);
        let trailers: Record<string, unknown> = {};
        undici
          .stream(
            urlOf(ask.path),
            {
              ...undiciOptions(ask),
              method: ask.method ?? (ask.body === undefined ? "GET" : "POST"),
              dispatcher,
            } as Parameters<typeof undici.stream>[1],
            ({ statusCode, headers }) => {
              resolve(ofData(statusCode, headers as Record<string, unknown>, body, () => trailers));
              return body;
            },
          )
          .then(
            (data) => {
              trailers = data.trailers;
            },
            (error) => {
              reject(error);
              body.destroy(error);
            },
          );
      }),
  },
  {
    name: "undici's pipeline over mesh.dispatcher",
    cannot: {
      ...viaUndici,
      ...notFetch,
      upgrade: "undici's upgrade() is the function for it",
      trailers: "its handler is told of none",
      FormData: "the caller writes bytes",
      Blob: "the caller writes bytes",
    },
    isFetch: false,
    ask: ({ dispatcher }, ask) =>
      new Promise((resolve, reject) => {
        const { body: _body, ...options } = undiciOptions(ask) as { body?: unknown };
        const duplex = undici.pipeline(
          urlOf(ask.path),
          { ...options, method: ask.method ?? (ask.body === undefined ? "GET" : "POST"), dispatcher } as Parameters<
            typeof undici.pipeline
          >[1],
          ({ statusCode, headers, body }) => {
            resolve(ofData(statusCode, headers as Record<string, unknown>, duplex));
            return body;
          },
        );
        duplex.on("error", reject);
        duplex.on("close", () => reject(new Error("closed")));
        write(ask.body, duplex);
      }),
  },
  {
    name: "undici's fetch over mesh.dispatcher",
    cannot: notInFetch,
    isFetch: true,
    ownForms: true,
    ask: async ({ dispatcher }, ask) =>
      ofResponse(
        (await undici.fetch(urlOf(ask.path), { ...fetchInit(ask), dispatcher } as never)) as unknown as Response,
      ),
    askWith: async ({ dispatcher }, request) =>
      ofResponse((await undici.fetch(request as never, { dispatcher } as never)) as unknown as Response),
  },
  {
    name: "the built-in fetch under mesh.install()",
    cannot: notInFetch,
    isFetch: true,
    ask: async (client, ask) => {
      client.install();
      return ofResponse(await fetch(urlOf(ask.path), fetchInit(ask)));
    },
    askWith: async (client, request) => {
      client.install();
      return ofResponse(await fetch(request as Request));
    },
  },
  {
    name: "mesh.agent under node:http",
    cannot: {
      ...notFetch,
      FormData: "the caller writes bytes",
      Blob: "the caller writes bytes",
    },
    isFetch: false,
    ask: (client, ask) =>
      new Promise((resolve, reject) => {
        const headers: Record<string, string[]> = {};
        for (const [name, value] of pairsOf(ask.headers)) headers[name] = [...(headers[name] ?? []), value];
        const sent: ClientRequest = requestOverHttp(urlOf(ask.path), {
          agent: client.agent,
          method: ask.method ?? (ask.body === undefined ? "GET" : "POST"),
          headers,
          ...(ask.signal === undefined ? {} : { signal: ask.signal }),
        });
        // A request that a broken source aborted has no error, only an end.
        sent.on("error", reject).on("close", () => reject(new Error("closed")));
        sent.on("information", ({ statusCode, headers: told }) => ask.onInfo?.(statusCode, told));
        sent.on("response", (response: IncomingMessage) =>
          resolve(ofData(response.statusCode ?? 0, response.rawHeaders, response, () => response.trailers)),
        );
        if (ask.headers?.includes("100-continue") === true) {
          sent.flushHeaders();
          sent.once("continue", () => write(ask.body, sent));
        } else write(ask.body, sent);
      }),
    upgrade: async (client) => {
      const sent = requestOverHttp(urlOf("/"), {
        agent: client.agent,
        headers: { connection: "upgrade", upgrade: "echo" },
      }).end();
      const [, socket] = await once(sent, "upgrade");
      return socket;
    },
  },
];

/** A test of what some faces cannot do: there it says why instead, and proves that they say so too where `instead` is given. */
const matter = (
  face: Face,
  name: Matter,
  can: () => Promise<void>,
  instead: () => Promise<void> = async () => undefined,
): void => {
  const reason = face.cannot[name];
  if (reason === undefined) test(name, can);
  else test(`${name}: not here, for ${reason}`, instead);
};

/** Waits until a figure has stopped to grow. */
const settled = async (figure: () => number): Promise<number> => {
  let last = -1;
  await vi.waitFor(
    () => {
      const before = last;
      last = figure();
      if (last === 0 || last !== before) throw new Error("still growing");
    },
    { interval: 100, timeout: 10_000 },
  );
  return last;
};

/** What the kernel, both processes' streams and the mesh may hold together of a body that nobody reads. */
const IN_FLIGHT_BYTES = 20 * 1_048_576;

const digestOf = async (body: Readable): Promise<string> => {
  const hash = createHash("sha256");
  for await (const chunk of body) hash.update(chunk as Buffer);
  return hash.digest("hex");
};

/** Blocks, and how many of them were asked for. */
const source = (blocks: number): { readonly stream: Readable; readonly taken: () => number } => {
  let left = blocks;
  const stream = new Readable({
    highWaterMark: BLOCK.length,
    read() {
      this.push(left-- > 0 ? BLOCK : null);
    },
  });
  return { stream, taken: () => (blocks - Math.max(0, left)) * BLOCK.length };
};

const inFlight = (client: Client): number =>
  client.explain(urlOf("/")).destinations[0]?.candidates.reduce((sum, each) => sum + each.inFlight, 0) ?? -1;

/** What holds for every face. @param started a server and a client that knows it as the service `reviews` */
export const faceContract = (
  face: Face,
  started: () => { readonly server: FaceServer; readonly client: Client },
): void => {
  const ask = (asked: Ask): Promise<Answer> => face.ask(started().client, asked);
  const read = async (asked: Ask): Promise<{ status: number; text: string }> => {
    const { status, body } = await ask(asked);
    return { status, text: await text(body) };
  };
  const serverIsLeft = (): Promise<void> => {
    const { server } = started();
    return vi.waitFor(() => expect(server.seen.broken).toBe(1));
  };
  const nothingInFlight = (): Promise<void> => vi.waitFor(() => expect(inFlight(started().client)).toBe(0));

  describe(face.name, () => {
    test("reads a reply, and uses the connection for the next", async () => {
      for (let round = 0; round < 3; round++)
        expect(await read({ path: "/hello" })).toEqual({ status: 200, text: "hello" });
      // One that follows at once may find its predecessor's connection not yet free.
      expect(started().server.seen.connections).toBeLessThan(3);
      await nothingInFlight();
    });

    test("streams up and down at the same time", async () => {
      const up = new PassThrough();
      up.write("first");
      const { body } = await ask({ path: "/echo", method: "POST", body: up });
      const chunks = body[Symbol.asyncIterator]();
      expect(String((await chunks.next()).value)).toBe("first");
      up.end("second");
      expect(String((await chunks.next()).value)).toBe("second");
      expect((await chunks.next()).done).toBe(true);
    });

    test("lets a fast writer wait for a slow server", async () => {
      const { server } = started();
      const { stream, taken } = source(FLOOD_BLOCKS);
      const answered = ask({ path: "/unread", method: "POST", body: stream });
      expect(await settled(taken)).toBeLessThan(IN_FLIGHT_BYTES);
      server.read();
      expect(await text((await answered).body)).toBe(digestOfBlocks(FLOOD_BLOCKS));
    });

    test("lets a fast server wait for a slow reader", async () => {
      const { server } = started();
      const { body } = await ask({ path: "/flood" });
      expect(await settled(() => server.seen.flooded)).toBeLessThan(IN_FLIGHT_BYTES);
      expect(await digestOf(body)).toBe(digestOfBlocks(FLOOD_BLOCKS));
    });

    test("sends nothing for a signal that was aborted before", async () => {
      await expect(ask({ path: "/hello", signal: AbortSignal.abort() })).rejects.toMatchObject({ name: "AbortError" });
      await nothingInFlight();
      expect(started().server.seen.arrivals).toBe(0);
    });

    test("aborts before the headers, up to the server", async () => {
      const abort = new AbortController();
      const answered = ask({ path: "/never", signal: abort.signal });
      await vi.waitFor(() => expect(started().server.seen.arrivals).toBe(1));
      abort.abort();
      await expect(answered).rejects.toMatchObject({ name: "AbortError" });
      await serverIsLeft();
      await nothingInFlight();
    });

    test("aborts within the body, up to the server", async () => {
      const abort = new AbortController();
      const { body } = await ask({ path: "/begun", signal: abort.signal });
      const chunks = body[Symbol.asyncIterator]();
      expect(String((await chunks.next()).value)).toBe("begun");
      abort.abort();
      await expect(chunks.next()).rejects.toThrow();
      await serverIsLeft();
      await nothingInFlight();
    });

    test("aborts while it sends, and gives up the body's source", async () => {
      const abort = new AbortController();
      const { stream } = source(FLOOD_BLOCKS);
      const answered = ask({ path: "/unread", method: "POST", body: stream, signal: abort.signal });
      await vi.waitFor(() => expect(started().server.seen.arrivals).toBe(1));
      abort.abort();
      await expect(answered).rejects.toMatchObject({ name: "AbortError" });
      await vi.waitFor(() => expect(stream.destroyed).toBe(true));
      // A server that does not read does not see the end either.
      started().server.read();
      await serverIsLeft();
      await nothingInFlight();
    });

    test("fails when the body's source does", async () => {
      const broken = Readable.from(
        (async function* () {
          yield BLOCK;
          throw new Error("no more ink");
        })(),
      );
      await expect(
        ask({ path: "/digest", method: "POST", body: broken }).then(({ body }) => text(body)),
      ).rejects.toThrow();
      await nothingInFlight();
    });

    test("gives up a body that its reader destroys", async () => {
      const { body } = await ask({ path: "/begun" });
      body.on("error", () => undefined);
      await once(body, "readable");
      body.destroy();
      await serverIsLeft();
      await nothingInFlight();
    });

    test("HEAD has headers and no body", async () => {
      const { header, body, status } = await ask({ path: "/sized", method: "HEAD" });
      expect([status, header("content-length"), await text(body)]).toEqual([200, "5", ""]);
      expect((await read({ path: "/hello" })).text).toBe("hello");
      await nothingInFlight();
    });

    test.each([
      [204, "/no-content"],
      [304, "/not-modified"],
    ])("%i has no body, and leaves the connection in order", async (status, path) => {
      expect(await read({ path })).toEqual({ status, text: "" });
      expect((await read({ path: "/hello" })).text).toBe("hello");
      await nothingInFlight();
    });

    test("sends 32 MiB and loses nothing", async () => {
      expect((await read({ path: "/digest", method: "POST", body: source(512).stream })).text).toBe(
        digestOfBlocks(512),
      );
    });

    test("sends 16 MiB that lie in memory", async () => {
      const body = Buffer.concat(Array.from({ length: 256 }, () => BLOCK));
      expect((await read({ path: "/digest", method: "POST", body })).text).toBe(digestOfBlocks(256));
    });

    test("sends what an async iterable yields", async () => {
      const body = (async function* () {
        yield new TextEncoder().encode("one ");
        yield new TextEncoder().encode("two");
      })();
      expect((await read({ path: "/echo", method: "POST", body })).text).toBe("one two");
    });

    matter(face, "FormData", async () => {
      // undici's own functions take its own copy alone, as they do without the mesh.
      const form = face.ownForms ? (new undici.FormData() as unknown as FormData) : new FormData();
      form.set("title", "five stars");
      form.set("page", new Blob(["text"], { type: "text/plain" }), "page.txt");
      const { text: told } = await read({ path: "/form", method: "POST", body: form });
      expect(JSON.parse(told)).toEqual([
        ["title", "string"],
        ["page", "object"],
      ]);
    });

    matter(face, "Blob", async () => {
      const { header, body } = await ask({
        path: "/echo",
        method: "POST",
        body: new Blob(["kept"], { type: "text/plain" }),
      });
      expect([header("content-type"), await text(body)]).toEqual(["text/plain", "kept"]);
    });

    matter(face, "trailers", async () => {
      const { body, trailers } = await ask({ path: "/trailers" });
      expect(await text(body)).toBe("body");
      await vi.waitFor(() => expect(trailers?.()).toEqual({ "x-sum": "4" }));
    });

    const heard: unknown[] = [];
    const hinted = async (): Promise<void> => {
      heard.length = 0;
      const onInfo: Ask["onInfo"] = (status, { link }) => void heard.push([status, String(link)]);
      expect((await read({ path: "/hints", onInfo })).text).toBe("hinted");
    };
    matter(
      face,
      "informational replies",
      async () => {
        await hinted();
        expect(heard).toEqual([[103, "</style.css>; rel=preload"]]);
      },
      hinted,
    );

    matter(face, "upgrade", async () => {
      const { client } = started();
      const socket = await face.upgrade?.(client);
      socket?.write("said");
      expect(String((await once(socket as Duplex, "data"))[0])).toBe("said");
      expect(inFlight(client)).toBe(1);
      socket?.destroy();
      await nothingInFlight();
    });

    const expecting = { path: "/echo", method: "POST", headers: ["expect", "100-continue"], body: "awaited" };
    matter(
      face,
      "Expect: 100-continue",
      async () => expect((await read(expecting)).text).toBe("awaited"),
      async () => {
        const refused: unknown = await ask(expecting).catch((error: unknown) => error);
        const code = (error: unknown): unknown => (error as { code?: unknown } | undefined)?.code;
        expect([code(refused), code((refused as Error).cause)]).toContain("INVALID_CALL");
        await nothingInFlight();
      },
    );

    matter(face, "raw headers", async () => {
      const sent = await read({ path: "/raw", headers: ["X-Mixed-Case", "Kept"] });
      expect(JSON.parse(sent.text)).toEqual(expect.arrayContaining(["X-Mixed-Case", "Kept"]));
      const { rawHeaders, body } = await ask({ path: "/headers" });
      await text(body);
      expect(rawHeaders?.slice(0, 10)).toEqual([
        "X-Mixed-Case",
        "kept",
        "Set-Cookie",
        "a=1",
        "Set-Cookie",
        "b=2",
        "X-Twice",
        "1",
        "X-Twice",
        "2",
      ]);
    });

    matter(face, "repeated headers", async () => {
      const { text: told } = await read({ path: "/raw", headers: ["X-Twice", "1", "X-Twice", "2"] });
      expect(pairsOf(JSON.parse(told)).filter(([name]) => name === "X-Twice")).toEqual([
        ["X-Twice", "1"],
        ["X-Twice", "2"],
      ]);
    });

    test("cookies pass untouched, both ways", async () => {
      const { cookies, body } = await ask({ path: "/headers" });
      await text(body);
      expect(cookies).toEqual(["a=1", "b=2"]);
      const { text: told } = await read({ path: "/raw", headers: ["cookie", "a=1; b=2"] });
      expect(pairsOf(JSON.parse(told)).filter(([name]) => name.toLowerCase() === "cookie")).toEqual([
        ["cookie", "a=1; b=2"],
      ]);
    });

    test(face.isFetch ? "follows redirects" : "hands redirects to its caller", async () => {
      const { status, text: told } = await read({ path: "/moved" });
      expect([status, told]).toEqual(face.isFetch ? [200, "hello"] : [302, "moved"]);
    });

    test(face.isFetch ? "unpacks a packed body" : "hands a packed body to its caller as it is", async () => {
      const { header, body } = await ask({ path: "/gzip" });
      const bytes = Buffer.concat(await body.toArray());
      expect(header("content-encoding")).toBe("gzip");
      if (face.isFetch) expect(bytes.toString()).toBe("unpacked");
      else expect([...bytes.subarray(0, 2)]).toEqual([0x1f, 0x8b]);
    });

    matter(face, "Request objects", async () => {
      const { client } = started();
      for (const Copy of [Request, undici.Request]) {
        const made = new Copy(urlOf("/echo"), { method: "POST", body: "by Request", headers: { "x-own": "1" } });
        // undici's own fetch takes Requests of its own copy alone, as it does without the mesh.
        if (face.name.startsWith("undici") && Copy === Request) continue;
        if (face.name.startsWith("the built-in") && Copy !== Request) continue;
        const answer = await face.askWith?.(client, made);
        expect(await text(answer?.body ?? Readable.from([]))).toBe("by Request");
      }
    });
  });
};
