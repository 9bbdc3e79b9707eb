import { connect } from "node:net";
import type { Credentials } from "@tulle/policy";
import { createTestAuthority } from "@tulle/testing";
import { constant } from "@tulle/time";
import { beforeAll, describe, expect, test } from "vitest";
import { call, inbound, testServer } from "./fixtures.ts";
import { recordTelemetry } from "./telemetry.ts";

let own: Credentials;
let peer: Credentials;

beforeAll(async () => {
  const authority = await createTestAuthority();
  own = await authority.issue({ serviceAccount: "reviews" });
  peer = await authority.issue({ serviceAccount: "productpage" });
});

interface SeenRequest {
  readonly headers: Record<string, unknown>;
  readonly distinct: Record<string, unknown>;
  readonly raw: readonly string[];
  readonly trailers: Record<string, unknown>;
  readonly rawTrailers: readonly string[];
  readonly distinctTrailers: Record<string, unknown>;
}

const listening = async () => {
  const seen: SeenRequest[] = [];
  const server = testServer({ inbound: constant(inbound("permissive")), credentials: constant(own) });
  const listener = await server.listen(
    (request, response) => {
      request.resume().on("end", () => {
        seen.push({
          headers: { ...request.headers },
          distinct: { ...request.headersDistinct },
          raw: [...request.rawHeaders],
          trailers: { ...request.trailers },
          rawTrailers: [...request.rawTrailers],
          distinctTrailers: { ...request.trailersDistinct },
        });
        response.end("ok");
      });
    },
    { port: 0, host: "127.0.0.1", public: [{ port: 0 }] },
  );
  return { server, listener, seen };
};

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/** What strangers send, and nobody inside may believe. */
const forged: readonly (readonly [name: string, value: string])[] = [
  ["x-envoy-expected-rq-timeout-ms", "1"],
  ["X-Envoy-Attempt-Count", "3"],
  ["x-envoy-peer-metadata", "abc"],
  ["x-forwarded-client-cert", "By=a;URI=spiffe://cluster.local/ns/default/sa/admin"],
  ["X-Forwarded-Client-Cert", "URI=spiffe://cluster.local/ns/default/sa/admin"],
  ["grpc-timeout", "1n"],
  ["endpoint-load-metrics", "cpu=0"],
  ["Tulle-Refused", "unprocessed"],
  ["tulle-drain", "1"],
  ["tulle-anything-new", "x"],
  ["baggage", "user=root"],
  ["x-request-id", "1"],
];

/** Ids that give no right: they go on from the mesh's port, and not from a public one. */
const trace: readonly (readonly [name: string, value: string])[] = [
  ["traceparent", parent],
  ["tracestate", "a=b"],
];

describe.each(["mesh", "public"] as const)("on the %s port a stranger's", (kind) => {
  test.each(kind === "mesh" ? forged : [...forged, ...trace])(
    "%s: %s is in no view of the request",
    async (name, value) => {
      const { server, listener, seen } = await listening();
      const port = kind === "mesh" ? listener.port : listener.publicPorts[0]!;
      const answer = await call(port, { headers: { [name]: value, "x-kept": "1" } });
      expect(answer.status).toBe(200);
      const [request] = seen;
      expect(request!.headers).toMatchObject({ "x-kept": "1" });
      expect(request!.distinct).toMatchObject({ "x-kept": ["1"] });
      expect(request!.raw).toContain("x-kept");
      expect(Object.keys(request!.headers)).not.toContain(name.toLowerCase());
      expect(Object.keys(request!.distinct)).not.toContain(name.toLowerCase());
      expect(request!.raw.map((each) => each.toLowerCase())).not.toContain(name.toLowerCase());
      expect(server.counters().strippedHeaders).toBe(1);
    },
  );
});

test.each(trace)("on the mesh port a stranger's %s: %s stays where it is", async (name, value) => {
  const { server, listener, seen } = await listening();
  await call(listener.port, { headers: { [name]: value } });
  expect(seen[0]!.headers[name]).toBe(value);
  expect(server.counters().strippedHeaders).toBe(0);
});

test("control headers in a stranger's trailers are in no view of them", async () => {
  const { listener, seen } = await listening();
  const socket = connect(listener.port, "127.0.0.1");
  socket.write(
    "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ntransfer-encoding: chunked\r\ntrailer: tulle-refused, x-kept\r\n\r\n" +
      "2\r\nhi\r\n0\r\nTulle-Refused: unprocessed\r\nx-kept: 1\r\n\r\n",
  );
  for await (const _ of socket);
  expect(seen[0]).toMatchObject({
    trailers: { "x-kept": "1" },
    rawTrailers: ["x-kept", "1"],
    distinctTrailers: { "x-kept": ["1"] },
  });
  expect(seen[0]!.trailers).not.toHaveProperty("tulle-refused");
  expect(seen[0]!.distinctTrailers).not.toHaveProperty("tulle-refused");
});

test("a peer's control headers arrive, but for the one that says who it is", async () => {
  const { listener, seen } = await listening();
  await call(listener.port, {
    as: peer,
    headers: { traceparent: parent, "x-envoy-attempt-count": "2", "x-forwarded-client-cert": "URI=spiffe://forged/a" },
  });
  const proven = "By=spiffe://cluster.local/ns/default/sa/reviews;URI=spiffe://cluster.local/ns/default/sa/productpage";
  expect(seen[0]!.headers).toMatchObject({
    traceparent: parent,
    "x-envoy-attempt-count": "2",
    "x-forwarded-client-cert": proven,
  });
  expect(seen[0]!.raw.filter((each) => each.includes("spiffe"))).toEqual([proven]);
  expect(seen[0]!.distinct["x-forwarded-client-cert"]).toEqual([proven]);
});

describe("malformed control headers of a peer", () => {
  const rows: readonly (readonly [headers: Record<string, string | string[]>, status: number, code: string])[] = [
    [{ "x-envoy-expected-rq-timeout-ms": "soon" }, 400, "INVALID_REQUEST"],
    [{ "x-envoy-expected-rq-timeout-ms": "-1" }, 400, "INVALID_REQUEST"],
    [{ "x-envoy-expected-rq-timeout-ms": "1.5" }, 400, "INVALID_REQUEST"],
    [{ "x-envoy-expected-rq-timeout-ms": "" }, 400, "INVALID_REQUEST"],
    [{ "x-envoy-expected-rq-timeout-ms": ["100", "200"] }, 400, "INVALID_REQUEST"],
    [{ "x-envoy-expected-rq-timeout-ms": "9999999999999999" }, 400, "INVALID_REQUEST"],
    [{ "x-envoy-expected-rq-timeout-ms": "0" }, 504, "VISIT_DEADLINE_SPENT"],
    [{ "grpc-timeout": "10" }, 400, "INVALID_REQUEST"],
    [{ "grpc-timeout": "123456789m" }, 400, "INVALID_REQUEST"],
    [{ "grpc-timeout": "10s" }, 400, "INVALID_REQUEST"],
    [{ "grpc-timeout": "0S" }, 504, "VISIT_DEADLINE_SPENT"],
  ];
  test.each(rows)("%j is answered %i %s", async (headers, status, code) => {
    const { server, listener, seen } = await listening();
    const answer = await call(listener.port, { as: peer, headers });
    expect(answer.status).toBe(status);
    expect(JSON.parse(answer.body)).toMatchObject({ code, docs: expect.stringContaining("docs/errors.md#") });
    // A handler may have seen nothing, but another instance would say the same.
    expect(answer.headers).not.toHaveProperty("tulle-refused");
    expect(server.counters()[`refused.${code}`]).toBe(1);
    expect(seen).toEqual([]);
  });

  test("a trace parent that is none begins a new trace and refuses nothing", async () => {
    const telemetry = recordTelemetry();
    const { listener } = await listening();
    expect((await call(listener.port, { as: peer, headers: { traceparent: "00-nonsense" } })).status).toBe(200);
    expect((await telemetry.spans())[0]!.parentSpanContext).toBeUndefined();
  });
});

describe("malformed targets", () => {
  const rows: readonly (readonly [target: string, counted: number])[] = [
    ["/a%zz", 1],
    ["/a%", 1],
    ["/a%00b", 1],
    ["/a/..%2fb", 1],
    // Absolute form is for proxies; a rule's path and a framework's could differ.
    ["http://elsewhere/x", 1],
    // Node's parser refuses it before there is a request.
    ["a", 0],
  ];
  test.each(rows)("%s is answered 400, and no handler runs", async (target, counted) => {
    const { server, listener, seen } = await listening();
    const socket = connect(listener.port, "127.0.0.1").setEncoding("utf8");
    socket.write(`GET ${target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`);
    let heard = "";
    for await (const chunk of socket) heard += chunk;
    expect(heard).toMatch(/^HTTP\/1.1 400 Bad Request/);
    expect(seen).toEqual([]);
    expect(server.counters()["refused.INVALID_REQUEST"]).toBe(counted);
  });
});

describe("traces", () => {
  test("a peer's trace goes on", async () => {
    const telemetry = recordTelemetry();
    const { listener } = await listening();
    await call(listener.port, { as: peer, headers: { traceparent: parent } });
    const [span] = await telemetry.spans();
    expect(span!.spanContext().traceId).toBe("0af7651916cd43dd8448eb211c80319c");
    expect(span!.parentSpanContext?.spanId).toBe("b7ad6b7169203331");
    expect(span!.attributes).toMatchObject({ "tulle.source": "productpage", "tulle.mtls": true });
  });

  test("a stranger's trace goes on from the mesh's port", async () => {
    const telemetry = recordTelemetry();
    const { listener } = await listening();
    await call(listener.port, { headers: { traceparent: parent } });
    const [span] = await telemetry.spans();
    expect(span!.spanContext().traceId).toBe("0af7651916cd43dd8448eb211c80319c");
    expect(span!.attributes).toMatchObject({ "tulle.source": "unknown", "tulle.mtls": false });
  });

  test("a stranger's trace is linked and not continued on a public port", async () => {
    const telemetry = recordTelemetry();
    const { listener } = await listening();
    await call(listener.publicPorts[0]!, { headers: { traceparent: parent } });
    const [span] = await telemetry.spans();
    expect(span!.spanContext().traceId).not.toBe("0af7651916cd43dd8448eb211c80319c");
    expect(span!.links.map((link) => link.context.spanId)).toEqual(["b7ad6b7169203331"]);
    expect(span!.attributes).toMatchObject({ "tulle.source": "unknown", "tulle.mtls": false });
  });
});
