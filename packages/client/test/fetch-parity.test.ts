import { deflateRawSync, deflateSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { clientOf, serve, snapshotOf } from "./mesh-of-servers.ts";

/** Answers with what it received; `/redirect` sends on to `/`, `/coded/...` answers as its name says. */
const server = await serve((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const coded: Record<string, Buffer> = {
      "/coded/zlib": deflateSync("hello"),
      "/coded/raw": deflateRawSync("hello"),
      "/coded/garbage": Buffer.from("no such coding"),
    };
    const body = coded[request.url ?? ""];
    if (body !== undefined) {
      response.setHeader("content-encoding", "deflate");
      response.end(body);
    } else if (request.url === "/redirect") {
      response.writeHead(307, { location: Buffer.from("/ü?ü").toString("latin1") }).end();
    } else {
      const headers = { ...request.headers };
      for (const own of ["host", "x-envoy-attempt-count", "x-envoy-expected-rq-timeout-ms"]) delete headers[own];
      // The boundary of a form is the sender's own.
      const parts = Buffer.concat(chunks)
        .toString("latin1")
        .replaceAll(/--[\w-]+/g, "--")
        .split("\r\n");
      const form = parts.length > 1;
      if (form) headers["content-type"] = headers["content-type"]?.replace(/boundary=.*/, "boundary=") ?? "";
      if (form) headers["content-length"] = headers["content-length"] === undefined ? "unknown" : "known";
      response.end(JSON.stringify({ method: request.method, url: request.url, headers, parts }));
    }
  });
});

const form = (): FormData => {
  const data = new FormData();
  data.append('a "name"\n', "first\nsecond");
  data.append("file", new Blob(["content"], { type: "text/csv" }), "ü.csv");
  data.append("other", new Blob(["x"]));
  return data;
};

/** What a fetch came to, of which the mesh's must be the same as the built-in one's. */
const outcome = async (fetched: Promise<Response>): Promise<unknown> => {
  try {
    const response = await fetched;
    return { status: response.status, path: response.url.replace(/^http:\/\/[^/]+/, ""), text: await response.text() };
  } catch (error) {
    return { type: error instanceof TypeError ? "TypeError" : typeof error };
  }
};

const used = (): ReadableStream => {
  const stream = new Blob(["content"]).stream();
  void stream.getReader().read();
  return stream;
};

describe("mesh.fetch comes to the same as the built-in fetch with", () => {
  test.each<[string, string, () => RequestInit | null]>([
    ["a form", "/", () => ({ method: "POST", body: form() })],
    ["a form that is redirected", "/redirect", () => ({ method: "POST", body: form() })],
    ["a blob", "/", () => ({ method: "POST", body: new Blob(["content"], { type: "text/csv" }) })],
    ["a blob that is redirected", "/redirect", () => ({ method: "PUT", body: new Blob(["content"]) })],
    ["a location in UTF-8", "/redirect", () => ({})],
    ["a stream that was read before", "/", () => ({ method: "POST", body: used(), duplex: "half" })],
    ["deflate", "/coded/zlib", () => ({})],
    ["deflate without its header", "/coded/raw", () => ({})],
    ["a body that cannot be decoded", "/coded/garbage", () => ({})],
    ["a range", "/", () => ({ headers: { range: "bytes=0-3" } })],
    ["a header that is null", "/", () => ({ headers: { "x-a": null as unknown as string } })],
    ["a Host of another hop", "/", () => ({ headers: { host: "productpage" } })],
    ["no options", "/", () => null],
    ["an unknown redirect mode", "/", () => ({ redirect: "back" as unknown as "follow" })],
    ["a signal that is none", "/", () => ({ signal: {} as AbortSignal })],
  ])("%s", async (_name, path, init) => {
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint] } }));
    const asGiven = () => init() as RequestInit;
    const builtIn = await outcome(fetch(`http://127.0.0.1:${server.endpoint.port}${path}`, asGiven()));
    expect(await outcome(client.fetch(`http://reviews${path}`, asGiven()))).toEqual(builtIn);
  });

  test("an object that becomes a URL as text, a URL with a password, and no URL", async () => {
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint] } }));
    const asText = { toString: () => "http://reviews/" } as unknown as URL;
    expect((await client.fetch(asText)).status).toBe(200);
    await expect(client.fetch("http://user:secret@reviews/")).rejects.toThrow("URL that includes credentials");
    await expect(client.fetch("/relative")).rejects.toThrow("Failed to parse URL from /relative");
  });

  test("what would be checked by the built-in fetch is not taken unchecked", async () => {
    await using client = clientOf(snapshotOf({ reviews: { endpoints: [server.endpoint] } }));
    await expect(client.fetch("http://reviews/", { integrity: "sha256-AAAA" })).rejects.toThrow("integrity");
  });
});

test("a blob is sent again by another attempt", async () => {
  let seen = 0;
  const bodies: string[] = [];
  await using flaky = await serve((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += String(chunk);
    });
    request.on("end", () => {
      bodies.push(body);
      response.writeHead(++seen === 1 ? 503 : 200).end();
    });
  });
  await using client = clientOf(snapshotOf({ reviews: { endpoints: [flaky.endpoint] } }));
  const response = await client.fetch("http://reviews/", { method: "PUT", body: new Blob(["content"]) });
  expect(response.status).toBe(200);
  expect(bodies).toEqual(["content", "content"]);
});
