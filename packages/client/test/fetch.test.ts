import { getEventListeners, once } from "node:events";
import { gzipSync } from "node:zlib";
import { isMeshError } from "@tulle/policy";
import { Headers as UndiciHeaders, Request as UndiciRequest } from "undici";
import { describe, expect, test, vi } from "vitest";
import { explain } from "../src/explain.ts";
import { clientOf, type RunningServer, serve, snapshotOf } from "./mesh-of-servers.ts";

const echo = (): Promise<RunningServer> =>
  serve(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    response.setHeader("content-type", "application/json");
    response.end(
      JSON.stringify({
        method: request.method,
        url: request.url,
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
      }),
    );
  });

interface Echoed {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body: string;
}

const meshOf = (server: RunningServer) => clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint] } }));

describe("mesh.fetch", () => {
  test("sends what the built-in fetch sends", async () => {
    await using server = await echo();
    await using client = meshOf(server);
    const address = `http://127.0.0.1:${server.endpoint.port}`;
    const builtIn = (await (await fetch(`${address}/a?b=c`, { method: "post", body: "text" })).json()) as Echoed;
    const mesh = (await (
      await client.fetch("http://reviews/a?b=c", { method: "post", body: "text" })
    ).json()) as Echoed;
    const { host, connection, ...expected } = builtIn.headers;
    expect([host, connection]).toEqual([`127.0.0.1:${server.endpoint.port}`, "keep-alive"]);
    expect(mesh.headers).toMatchObject({ ...expected, host: "reviews", "x-envoy-attempt-count": "1" });
    expect({ ...mesh, headers: {} }).toEqual({ ...builtIn, headers: {} });
  });

  test("gives a Response that the built-in class knows", async () => {
    await using server = await echo();
    await using client = meshOf(server);
    const response = await client.fetch("http://reviews/a");
    expect(response).toBeInstanceOf(Response);
    expect([
      response.ok,
      response.status,
      response.statusText,
      response.redirected,
      response.bodyUsed,
      response.url,
    ]).toEqual([true, 200, "OK", false, false, "http://reviews/a"]);
    expect(response.headers.get("content-type")).toBe("application/json");
    const copy = response.clone();
    expect(await response.text()).toBe(await copy.text());
    expect(response.bodyUsed).toBe(true);
    await expect(response.text()).rejects.toThrow(TypeError);
  });

  test.each([
    ["text", (response: Response) => response.text(), "grüße"],
    ["bytes", async (response: Response) => Buffer.from(await response.bytes()).toString(), "grüße"],
    ["arrayBuffer", async (response: Response) => Buffer.from(await response.arrayBuffer()).toString(), "grüße"],
    ["blob", async (response: Response) => (await response.blob()).text(), "grüße"],
    ["body", async (response: Response) => new Response(response.body).text(), "grüße"],
  ])("decodes gzip for %s", async (_name, read, expected) => {
    await using server = await serve((_request, response) => {
      response.setHeader("content-encoding", "gzip");
      response.end(gzipSync("grüße"));
    });
    await using client = meshOf(server);
    expect(await read(await client.fetch("http://reviews/"))).toBe(expected);
  });

  test("takes bodies of every kind", async () => {
    await using server = await echo();
    await using client = meshOf(server);
    const post = async (init: object) =>
      (await (await client.fetch("http://reviews/", { method: "POST", ...init })).json()) as Echoed;
    expect((await post({ body: new Uint8Array([65, 66]) })).body).toBe("AB");
    expect((await post({ body: new Uint8Array([65, 66]).buffer })).body).toBe("AB");
    const params = await post({ body: new URLSearchParams({ a: "1 2" }) });
    expect([params.body, params.headers["content-type"]]).toEqual([
      "a=1+2",
      "application/x-www-form-urlencoded;charset=UTF-8",
    ]);
    const blob = await post({ body: new Blob(["blob"], { type: "text/x" }) });
    expect([blob.body, blob.headers["content-type"], blob.headers["content-length"]]).toEqual(["blob", "text/x", "4"]);
    const form = new FormData();
    form.set("field", "value");
    const multipart = await post({ body: form });
    expect(multipart.headers["content-type"]).toMatch(/^multipart\/form-data; boundary=/);
    expect(multipart.body).toContain('name="field"');
    expect((await post({ body: new Blob(["stream"]).stream(), duplex: "half" })).body).toBe("stream");
    async function* pieces() {
      yield Buffer.from("it");
      yield Buffer.from("er");
    }
    expect((await post({ body: pieces(), duplex: "half" })).body).toBe("iter");
    await expect(client.fetch("http://reviews/", { method: "POST", body: pieces() as never })).rejects.toThrow(
      /duplex/,
    );
    await expect(client.fetch("http://reviews/", { body: "x" })).rejects.toThrow(/GET\/HEAD/);
  });

  test("understands Request and Headers of another copy of undici", async () => {
    await using server = await echo();
    await using client = meshOf(server);
    const foreign = new UndiciRequest("http://reviews/foreign", { method: "PUT", body: "b", headers: { "x-a": "1" } });
    const seen = (await (await client.fetch(foreign)).json()) as Echoed;
    expect([seen.method, seen.url, seen.headers["x-a"], seen.body]).toEqual(["PUT", "/foreign", "1", "b"]);
    const headers = new UndiciHeaders([["x-b", "2"]]);
    const more = (await (
      await client.fetch(new Request("http://reviews/own"), { headers: headers as never })
    ).json()) as Echoed;
    expect([more.url, more.headers["x-b"]]).toEqual(["/own", "2"]);
  });

  test("follows redirects as the standard has it", async () => {
    await using server = await serve((request, response) => {
      const { pathname } = new URL(request.url ?? "", "http://x");
      if (pathname === "/loop") return void response.writeHead(302, { location: "/loop" }).end();
      if (pathname.startsWith("/go"))
        return void response.writeHead(Number(pathname.slice(3)), { location: "/end" }).end("moved");
      response.end(`${request.method} ${request.url} ${request.headers["content-type"] ?? "-"}`);
    });
    await using client = meshOf(server);
    const gone = await client.fetch("http://reviews/go302", { method: "POST", body: "x" });
    expect([gone.redirected, gone.url, await gone.text()]).toEqual([true, "http://reviews/end", "GET /end -"]);
    const kept = await client.fetch("http://reviews/go307", { method: "POST", body: "x" });
    expect(await kept.text()).toBe("POST /end text/plain;charset=UTF-8");
    const manual = await client.fetch("http://reviews/go302", { redirect: "manual" });
    expect([manual.status, await manual.text()]).toEqual([302, "moved"]);
    await expect(client.fetch("http://reviews/go302", { redirect: "error" })).rejects.toThrow(TypeError);
    const looped = await client.fetch("http://reviews/loop").catch((error: Error) => error);
    expect(String((looped as Error).cause)).toContain("redirect count exceeded");
  });

  test("an abort rejects with its reason, before the headers and within the body, and leaves no listener", async () => {
    await using server = await serve((request, response) => {
      if (request.url === "/body") response.write("first");
    });
    await using client = meshOf(server);
    const early = new AbortController();
    const waiting = client.fetch("http://reviews/never", { signal: early.signal });
    const [request] = (await once(server.server, "request")) as [{ destroyed: boolean }];
    early.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    await vi.waitFor(() => expect(request.destroyed).toBe(true));

    const late = new AbortController();
    const response = await client.fetch("http://reviews/body", { signal: late.signal });
    const text = response.text();
    late.abort();
    await expect(text).rejects.toMatchObject({ name: "AbortError" });
    expect(getEventListeners(early.signal, "abort")).toEqual([]);
    expect(getEventListeners(late.signal, "abort")).toEqual([]);
    await expect(client.fetch("http://reviews/", { signal: AbortSignal.abort() })).rejects.toMatchObject({
      name: "AbortError",
    });
  });

  test("calls that share a signal leave no listener on it", async () => {
    await using server = await echo();
    await using client = meshOf(server);
    const { signal } = new AbortController();
    for (let call = 0; call < 20; call++) await (await client.fetch("http://reviews/", { signal })).text();
    await client.fetch("http://reviews.default.svc.cluster.local:1/", { signal }).catch(() => undefined);
    for (let call = 0; call < 20; call++) await (await client.request("http://reviews/", { signal })).body.text();
    // undici's own listener goes with the close of its stream, a tick later.
    await vi.waitFor(() => expect(getEventListeners(signal, "abort")).toEqual([]));
  });

  test("a slow reader pauses the sender", async () => {
    let written = 0;
    await using server = await serve((_request, response) => {
      const chunk = Buffer.alloc(65_536);
      const more = (): void => {
        while (written < 64 * 1_024 * 1_024) {
          written += chunk.length;
          if (!response.write(chunk)) return void response.once("drain", more);
        }
        response.end();
      };
      more();
    });
    await using client = meshOf(server);
    const response = await client.fetch("http://reviews/");
    const reader = response.body?.getReader();
    await reader?.read();
    let before = -1;
    await vi.waitFor(
      () => {
        const settled = before === written;
        before = written;
        expect(settled).toBe(true);
      },
      { interval: 100, timeout: 5_000 },
    );
    expect(written).toBeLessThan(32 * 1_024 * 1_024);
    let bytes = 0;
    for (let part = await reader?.read(); part?.done === false; part = await reader?.read()) bytes += part.value.length;
    expect(bytes).toBeGreaterThan(60 * 1_024 * 1_024);
  });

  test("failures of the mesh reject as a TypeError, or answer when that is asked for", async () => {
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [] } }));
    const error = await client.fetch("http://reviews/").catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(TypeError);
    expect(isMeshError(error, "NO_HEALTHY_ENDPOINT")).toBe(true);
    expect(explain(error)).toMatchObject({
      service: "default/reviews",
      failure: "NO_HEALTHY_ENDPOINT",
      rule: "default",
    });
    const response = await client.fetch("http://reviews/", { mesh: { localReplies: "response" } });
    expect([response.status, response.headers.get("tulle-error")]).toEqual([503, "NO_HEALTHY_ENDPOINT"]);
    expect(await response.text()).toContain("NO_HEALTHY_ENDPOINT");
  });

  test("hosts outside the mesh go to the built-in fetch", async () => {
    await using server = await echo();
    await using client = clientOf(snapshotOf({}));
    const seen = (await (await client.fetch(`http://127.0.0.1:${server.endpoint.port}/out`)).json()) as Echoed;
    expect(seen.url).toBe("/out");
    expect(seen.headers["x-envoy-attempt-count"]).toBeUndefined();
    expect(client.counters().outside).toBe(1);
  });
});
