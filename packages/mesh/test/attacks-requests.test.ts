import { describe, expect, test } from "vitest";
import { open, productpage, request, say, startTarget, statusesOf } from "./support/attack-kit.ts";

/*
 * What an authenticated caller may try with the bytes of HTTP/1.1, over mTLS to a running member which denies `/admin`. Each row has
 * the statuses that came back on the connection before the member ended it, and what reached the application. "Node.js" names
 * what its parser refuses before the mesh sees a request.
 */

/** Where Node.js ends a connection while the caller still writes, its answer may be lost on the way. */
type Statuses = readonly number[] | `at most ${number}`;
type Row = readonly [name: string, bytes: string, statuses: Statuses, handled: readonly string[]];

const crlf = (...lines: readonly string[]): string => lines.join("\r\n");
/** What somebody wants to get past the gates behind another request. */
const smuggled = crlf("GET /admin HTTP/1.1", "host: reviews", "connection: close", "", "");
const post = (target: string, ...headers: readonly string[]): string =>
  crlf(`POST ${target} HTTP/1.1`, "host: reviews", ...headers, "", "");
const get = (...headers: readonly string[]): string => crlf("GET /a HTTP/1.1", ...headers, "", "");

const lengths: readonly Row[] = [
  [
    "a length and chunks (Node.js)",
    post("/a", "content-length: 4", "transfer-encoding: chunked") + crlf("0", "", smuggled),
    [400],
    [],
  ],
  [
    "chunks and a length (Node.js)",
    post("/a", "transfer-encoding: chunked", `content-length: ${smuggled.length + 5}`) + crlf("0", "", smuggled),
    [400],
    [],
  ],
  [
    "two lengths that differ (Node.js)",
    post("/a", "content-length: 0", `content-length: ${smuggled.length}`) + smuggled,
    [400],
    [],
  ],
  ["the same length twice (Node.js)", `${post("/a", "content-length: 2", "content-length: 2")}hi`, [400], []],
  ["a list of lengths (Node.js)", `${post("/a", "content-length: 2, 2")}hi`, [400], []],
  ["a length with a sign (Node.js)", `${post("/a", "content-length: +2")}hi`, [400], []],
  ["a negative length (Node.js)", `${post("/a", "content-length: -1")}${smuggled}`, [400], []],
  ["a length in hexadecimal (Node.js)", `${post("/a", "content-length: 0x2")}hi`, [400], []],
  ["a length beyond all numbers (Node.js)", `${post("/a", `content-length: ${"9".repeat(30)}`)}hi`, [400], []],
  [
    "a coding that is not chunked at the end (Node.js)",
    post("/a", "transfer-encoding: chunked, identity") + crlf("0", "", smuggled),
    [400],
    [],
  ],
  ["a coding nobody knows (Node.js)", post("/a", "transfer-encoding: xchunked") + crlf("0", "", smuggled), [400], []],
  [
    "chunked twice, of which the second is hidden by a tab",
    post("/a", "transfer-encoding: chunked", "transfer-encoding:\tidentity") + crlf("0", "", smuggled),
    [400],
    [],
  ],
  [
    "chunked with a vertical tab (Node.js)",
    post("/a", "transfer-encoding: \x0bchunked") + crlf("0", "", smuggled),
    [400],
    [],
  ],
  [
    "a chunk's extensions, which are read over",
    post("/a", "transfer-encoding: chunked") + crlf('2;x="a";y=b', "hi", "0", "", smuggled),
    [200, 403],
    ["POST /a hi"],
  ],
  [
    "chunk extensions without end (Node.js)",
    post("/a", "transfer-encoding: chunked") + crlf(`2;${"x".repeat(20_000)}`, "hi", "0", "", smuggled),
    "at most 413",
    [],
  ],
  [
    "a line feed within a chunk's extension (Node.js)",
    post("/a", "transfer-encoding: chunked") + crlf("2;\nhi", "0", "", smuggled),
    [400],
    [],
  ],
  [
    "a chunk's size that is none (Node.js)",
    post("/a", "transfer-encoding: chunked") + crlf("0x2", "hi", "0", "", smuggled),
    [400],
    [],
  ],
  [
    "a chunk's size beyond all numbers (Node.js)",
    post("/a", "transfer-encoding: chunked") + crlf("f".repeat(20), "hi", "0", "", smuggled),
    [400],
    [],
  ],
  [
    "a chunk that is longer than it says (Node.js)",
    post("/a", "transfer-encoding: chunked") + crlf("2", "hi!", "0", "", smuggled),
    [400],
    [],
  ],
  [
    "a request within the body of another, which stays a body",
    post("/a", `content-length: ${smuggled.length}`, "connection: close") + smuggled,
    [200],
    [`POST /a ${smuggled}`],
  ],
];

const lines: readonly Row[] = [
  ["line feeds alone at the ends of headers (Node.js)", "GET /a HTTP/1.1\nhost: reviews\n\n", [400], []],
  ["a line feed within a header (Node.js)", get("host: reviews", "x: a\ntransfer-encoding: chunked"), [400], []],
  ["a carriage return within a header (Node.js)", get("host: reviews", "x: a\rtransfer-encoding: chunked"), [400], []],
  ["a header that goes on in the next line (Node.js)", get("host: reviews", "x: a", " b"), [400], []],
  ["a space before a colon (Node.js)", get("host: reviews", "content-length : 5"), [400], []],
  ["a first header that begins with a space (Node.js)", get(" host: reviews"), [400], []],
  ["a space within a header's name (Node.js)", get("host: reviews", "x y: 1"), [400], []],
  ["a header without a name (Node.js)", get("host: reviews", ": 1"), [400], []],
  ["a NUL in a header (Node.js)", get("host: reviews", "x: a\0b"), [400], []],
  ["a NUL in a header's name (Node.js)", get("host: reviews", "x-envoy-\0a: b"), [400], []],
];

const starts: readonly Row[] = [
  ["no host (Node.js)", get("connection: close"), [400], []],
  ["two hosts", get("host: reviews", "host: evil.example", "connection: close"), [400], []],
  ["two hosts that are the same", get("host: reviews", "host: reviews", "connection: close"), [400], []],
  ["HTTP/1.0, which needs no host", crlf("GET /a HTTP/1.0", "", ""), [200], ["GET /a"]],
  ["HTTP/1.0 to what is denied", crlf("GET /admin HTTP/1.0", "", ""), [403], []],
  ["a version nobody speaks (Node.js)", crlf("GET /a HTTP/3.0", "host: reviews", "", ""), [400], []],
  ["a request without version, which is HTTP/0.9", "GET /admin\r\n\r\n", [403], []],
  ["the preface of HTTP/2 where nobody offered it", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400], []],
  ["a method in lower case (Node.js)", request("/admin", [], "", "get"), [400], []],
  ["a method nobody knows (Node.js)", request("/admin", [], "", "GETT"), [400], []],
  ["an absolute target with the same host", request("http://reviews/admin"), [400], []],
  ["an absolute target with another host", request("http://evil.example/a"), [400], []],
  ["an absolute target that looks like a path", request("http:/admin"), [400], []],
  ["an authority as target", request("reviews:80"), [400], []],
  ["an asterisk that is no OPTIONS", request("*"), [200], ["GET *"]],
  ["spaces before the version, which are read over", request("/admin  "), [403], []],
  ["a target with a space (Node.js)", request("/a /admin"), [400], []],
  ["a target with a tab (Node.js)", request("/a\t/admin"), [400], []],
  ["a target with bytes above ASCII (Node.js)", request("/\xe9"), [400], []],
  ["an expectation that nobody meets (Node.js)", request("/admin", ["expect: a-miracle"]), [417], []],
  [
    "a method that asks to be another one",
    request("/admin", ["x-http-method-override: OPTIONS"], "", "POST"),
    [403],
    [],
  ],
  ["a header that names another path", request("/admin", ["x-original-url: /a", "x-rewrite-url: /a"]), [403], []],
  [
    "headers of the mesh that `connection` asks to be dropped",
    request("/admin", ["connection: x-forwarded-client-cert, host"]),
    [403],
    [],
  ],
];

const following: readonly Row[] = [
  ["after a refusal", crlf("GET /admin HTTP/1.1", "host: reviews", "", request("/a")), [403, 200], ["GET /a"]],
  [
    "after a request that was served",
    crlf("GET /a HTTP/1.1", "host: reviews", "", request("/admin")),
    [200, 403],
    ["GET /a"],
  ],
  [
    "as the body of a refused request: it is thrown away",
    `${post("/admin", `content-length: ${smuggled.length}`)}${smuggled}${request("/a")}`,
    [403, 200],
    ["GET /a"],
  ],
  [
    "behind the chunks of a refused request, which ends the connection: what Node.js has read already is judged, and not answered",
    post("/admin", "transfer-encoding: chunked") + crlf("2", "hi", "0", "", request("/a")) + request("/admin"),
    [403],
    ["GET /a"],
  ],
  [
    "behind a long body of a refused request: the connection ends",
    `${post("/admin", "content-length: 100000")}${"x".repeat(100_000)}${request("/a")}`,
    [403],
    [],
  ],
  [
    "a hundred times: each is judged",
    crlf("GET /admin HTTP/1.1", "host: reviews", "", "").repeat(100) + request("/a"),
    [...Array.from({ length: 100 }, () => 403), 200],
    ["GET /a"],
  ],
];

const sizes: readonly Row[] = [
  ["headers of 20 KB (Node.js)", get("host: reviews", `x: ${"a".repeat(20_000)}`), "at most 431", []],
  ["a target of 20 KB (Node.js)", request(`/${"a".repeat(20_000)}`), "at most 431", []],
  [
    "more than a thousand headers (Node.js)",
    get("host: reviews", "connection: close", ...Array.from({ length: 1_200 }, () => "x:")),
    "at most 431",
    [],
  ],
];

const others: readonly Row[] = [
  ["an upgrade to h2c, which nobody offers", request("/admin", ["connection: upgrade", "upgrade: h2c"]), [403], []],
  ["an upgrade to TLS", request("/admin", ["connection: upgrade", "upgrade: TLS/1.0"]), [403], []],
  [
    "an upgrade to a WebSocket that is denied",
    request("/admin", ["connection: upgrade", "upgrade: websocket"]),
    [403],
    [],
  ],
  [
    "CONNECT, which nobody waits for (Node.js)",
    crlf("CONNECT evil.example:443 HTTP/1.1", "host: reviews", "", ""),
    [],
    [],
  ],
  ["TRACE to what is denied", request("/admin", [], "", "TRACE"), [403], []],
];

const tables: Readonly<Record<string, readonly Row[]>> = {
  "two readings of a body": lengths,
  "two readings of a line": lines,
  "two readings of a request": starts,
  "requests that follow others": following,
  sizes: sizes,
  "other protocols": others,
};

describe.each(Object.entries(tables))("%s:", (_, rows) => {
  test.each(rows)("%s", async (_name, bytes, statuses, handled) => {
    const target = await startTarget();
    const answer = await say(target.port, productpage, bytes);
    const came = statusesOf(answer);
    if (typeof statuses === "string") expect([[], [Number(statuses.slice("at most ".length))]]).toContainEqual(came);
    else expect(came).toEqual(statuses);
    expect(target.handled.map(({ method, url, body }) => `${method} ${url} ${body}`.trim())).toEqual(
      handled.map((each) => each.trim()),
    );
  });
});

test("a request that a caller breaks off in the middle of its headers reaches nobody", async () => {
  const target = await startTarget();
  const { socket, closed } = await open(target.port, productpage);
  socket.end("GET /a HTTP/1.1\r\nhost: reviews\r\nx:");
  await closed;
  expect(target.handled).toEqual([]);
});
