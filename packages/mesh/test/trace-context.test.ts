import { once } from "node:events";
import { createServer, request as requestOverHttp } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { context, propagation, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { W3CTraceContextPropagator } from "@opentelemetry/core";
import { TracerProvider } from "@opentelemetry/sdk-trace";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createMesh } from "../src/create-mesh.ts";
import type { Mesh } from "../src/mesh.ts";

/** Names and values, in the order in which they are sent; a name may come again. */
type Headers = readonly (readonly [name: string, value: string])[];

/** What the service's call brought to the next one. */
interface Forwarded {
  readonly version: string;
  readonly traceId: string;
  readonly parentId: string;
  readonly flags: string;
  /** Members of `tracestate` in their order. */
  readonly state: ReadonlyMap<string, string>;
}

const TRACE = "12345678901234567890123456789012";
const PARENT = "1234567890123456";
const valid = `00-${TRACE}-${PARENT}-01`;
const unsampled = `00-${TRACE}-${PARENT}-00`;

const read = (headers: NodeJS.Dict<string | string[]>): Forwarded => {
  const [, version = "", traceId = "", parentId = "", flags = ""] =
    /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(String(headers.traceparent)) ?? [];
  if (version === "") throw new Error(`no valid traceparent went on: ${JSON.stringify(headers.traceparent)}`);
  const members = String(headers.tracestate ?? "")
    .split(",")
    .filter((member) => member !== "");
  const state = new Map(
    members.map((member) => [member.slice(0, member.indexOf("=")), member.slice(member.indexOf("=") + 1)]),
  );
  return { version, traceId, parentId, flags, state };
};

/** A service in plaintext that calls the next one through the mesh, once or several times, per request. */
const startForwarder = async () => {
  const seen: Forwarded[] = [];
  const next = createServer((request, response) => {
    try {
      seen.push(read(request.headers));
    } finally {
      response.end();
    }
  }).listen(0, "127.0.0.1");
  await once(next, "listening");
  const mesh = createMesh({
    policies: [],
    endpoints: { harness: [`127.0.0.1:${(next.address() as AddressInfo).port}`] },
    service: "forwarder",
  });
  const { port } = await mesh.listen(
    (request, response) => {
      const times = Number(request.url?.slice(1) || 1);
      Promise.all(Array.from({ length: times }, () => mesh.fetch("http://harness/"))).then(
        () => response.end(),
        (error: unknown) => response.writeHead(500).end(String(error)),
      );
    },
    { port: 0, host: "127.0.0.1", signals: false },
  );
  const forward = async (headers: Headers, times = 1): Promise<Forwarded[]> => {
    seen.length = 0;
    const sent = requestOverHttp({
      host: "127.0.0.1",
      port,
      path: `/${times}`,
      agent: false,
      headers: ["host", "forwarder", ...headers.flat()],
    });
    const [response] = await once(sent.end(), "response");
    const said = await text(response);
    expect([response.statusCode, said]).toEqual([200, ""]);
    expect(seen).toHaveLength(times);
    return seen.splice(0);
  };
  return {
    forward,
    [Symbol.asyncDispose]: async () => {
      await mesh.leave();
      next.closeAllConnections();
      await new Promise((resolve) => next.close(resolve));
    },
  };
};

describe.each(["without an SDK", "with an SDK"] as const)("W3C Trace Context through a member, %s", (sdk) => {
  let forwarder: Awaited<ReturnType<typeof startForwarder>>;

  beforeAll(async () => {
    if (sdk === "with an SDK") {
      context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
      propagation.setGlobalPropagator(new W3CTraceContextPropagator());
      trace.setGlobalTracerProvider(new TracerProvider());
    }
    forwarder = await startForwarder();
  });

  afterAll(async () => {
    await forwarder[Symbol.asyncDispose]();
    for (const each of [context, propagation, trace]) each.disable();
  });

  const forward = async (...headers: Headers): Promise<Forwarded> => {
    const [only] = await forwarder.forward(headers);
    return only as Forwarded;
  };

  test("begins a trace where the caller brings none", async () => {
    expect((await forward()).traceId).not.toMatch(/^0+$/);
  });

  test("continues a trace with a parent of its own", async () => {
    const { traceId, parentId } = await forward(["traceparent", valid]);
    expect(traceId).toBe(TRACE);
    expect(parentId).not.toBe(PARENT);
  });

  test("hands the flags on", async () => {
    expect((await forward(["traceparent", valid])).flags).toBe("01");
  });

  test("gives each call a parent of its own, within one trace", async () => {
    for (const headers of [[["traceparent", valid]], []] as Headers[]) {
      const calls = await forwarder.forward(headers, 3);
      expect(new Set(calls.map((call) => call.traceId)).size).toBe(1);
      expect(new Set(calls.map((call) => call.parentId)).size).toBe(3);
    }
  });

  test.each(["TraceParent", "TrAcEpArEnT", "TRACEPARENT"])("reads %s, however it is written", async (name) => {
    expect((await forward([name, valid])).traceId).toBe(TRACE);
  });

  test.each([` ${valid}`, `\t${valid}`, `${valid} `, `${valid}\t`, `\t ${valid} \t`])(
    "reads %j, past the whitespace around it",
    async (value) => {
      expect((await forward(["traceparent", value])).traceId).toBe(TRACE);
    },
  );

  test.each([`cc-${TRACE}-${PARENT}-01`, `cc-${TRACE}-${PARENT}-01-what-the-future-will-be-like`])(
    "reads %s of a later version",
    async (value) => {
      const { traceId, version } = await forward(["traceparent", value]);
      expect([traceId, version]).toEqual([TRACE, "00"]);
    },
  );

  test.each([
    `cc-${TRACE}-${PARENT}-01.what-the-future-will-be-like`,
    `ff-${TRACE}-${PARENT}-01`,
    `00-${TRACE}-${PARENT}-01.`,
    `00-${TRACE}-${PARENT}-01-what-the-future-will-be-like`,
    `.0-${TRACE}-${PARENT}-01`,
    `0.-${TRACE}-${PARENT}-01`,
    `000-${TRACE}-${PARENT}-01`,
    `0000-${TRACE}-${PARENT}-01`,
    `0-${TRACE}-${PARENT}-01`,
    `00-${"0".repeat(32)}-${PARENT}-01`,
    `00-.2345678901234567890123456789012-${PARENT}-01`,
    `00-1234567890123456789012345678901.-${PARENT}-01`,
    `00-${TRACE}3-${PARENT}-01`,
    `00-${TRACE.slice(1)}-${PARENT}-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `00-${TRACE}-.234567890123456-01`,
    `00-${TRACE}-123456789012345.-01`,
    `00-${TRACE}-${PARENT}7-01`,
    `00-${TRACE}-${PARENT.slice(1)}-01`,
    `00-${TRACE}-${PARENT}-.0`,
    `00-${TRACE}-${PARENT}-0.`,
    `00-${TRACE}-${PARENT}-001`,
    `00-${TRACE}-${PARENT}-1`,
    "",
  ])("begins a new trace for %j", async (value) => {
    const { traceId } = await forward(["traceparent", value]);
    for (const wrong of [TRACE, "0".repeat(32)]) expect(traceId).not.toBe(wrong);
  });

  test("begins a new trace where two parents are named", async () => {
    const other = "12345678901234567890123456789011";
    const { traceId } = await forward(["traceparent", `00-${other}-${PARENT}-01`], ["traceparent", valid]);
    expect([TRACE, other]).not.toContain(traceId);
  });

  test.each(["trace-parent", "trace.parent"])("does not take %s for the header", async (name) => {
    expect((await forward([name, valid])).traceId).not.toBe(TRACE);
  });

  const stateAfter = async (...states: readonly string[]): Promise<string[]> => {
    const { traceId, state } = await forward(
      ["traceparent", unsampled],
      ...states.map((value) => ["tracestate", value] as const),
    );
    expect(traceId).toBe(TRACE);
    return [...state].map(([key, value]) => `${key}=${value}`);
  };

  test("drops a state without its trace", async () => {
    expect((await forward(["tracestate", "foo=1,bar=2"])).state.size).toBe(0);
  });

  test.each(["TraceState", "TrAcEsTaTe", "TRACESTATE"])("hands %s on, however it is written", async (name) => {
    expect((await forward(["traceparent", unsampled], [name, "foo=1"])).state.get("foo")).toBe("1");
  });

  test.each(["trace-state", "trace.state"])("does not take %s for the state", async (name) => {
    expect((await forward(["traceparent", unsampled], [name, "foo=1"])).state.size).toBe(0);
  });

  const key = `${"abcdefghijklmnopqrstuvwxyz"}0123456789_-*/`;
  const characters = (from: number, to: number): string =>
    String.fromCharCode(...Array.from({ length: to - from + 1 }, (_, at) => from + at));
  const value = characters(0x20, 0x2b) + characters(0x2d, 0x3c) + characters(0x3e, 0x7e);
  const bars = (from: number, to: number): string =>
    Array.from({ length: to - from + 1 }, (_, at) => String(from + at).padStart(2, "0"))
      .map((each) => `bar${each}=${each}`)
      .join(",");

  test.each([
    [["foo=1,bar=2"], ["foo=1", "bar=2"]],
    [
      ["foo=1,bar=2", "rojo=1,congo=2", "baz=3"],
      ["foo=1", "bar=2", "rojo=1", "congo=2", "baz=3"],
    ],
    [[""], []],
    [["foo=1", ""], ["foo=1"]],
    [["", "foo=1"], ["foo=1"]],
    [["foo=1 \t , \t bar=2, \t baz=3"], ["foo=1", "bar=2", "baz=3"]],
    [["foo=1\t \t,\t \tbar=2,\t \tbaz=3"], ["foo=1", "bar=2", "baz=3"]],
    [[" foo=1"], ["foo=1"]],
    [["\tfoo=1"], ["foo=1"]],
    [["foo=1 "], ["foo=1"]],
    [["\t foo=1 \t"], ["foo=1"]],
    [[`${key}=${value}`], [`${key}=${value}`]],
    [[`${key}@a-z0-9_-*/=${value}`], [`${key}@a-z0-9_-*/=${value}`]],
    [
      ["foo=1", `${"z".repeat(256)}=1`],
      ["foo=1", `${"z".repeat(256)}=1`],
    ],
    [
      ["foo=1", `${"t".repeat(241)}@${"v".repeat(14)}=1`],
      ["foo=1", `${"t".repeat(241)}@${"v".repeat(14)}=1`],
    ],
    [[bars(1, 10), bars(11, 20), bars(21, 30), bars(31, 32)], bars(1, 32).split(",")],
  ])("hands the state %j on in its order", async (sent, kept) => {
    expect(await stateAfter(...sent)).toEqual(kept);
  });

  test.each([
    [["foo=1,foo=1"]],
    [["foo=1,foo=2"]],
    [["foo=1", "foo=1"]],
    [["foo=1", "foo=2"]],
    [["foo =1"]],
    [["FOO=1"]],
    [["foo.bar=1"]],
    [["foo@=1,bar=2"]],
    [["@foo=1,bar=2"]],
    [["foo@@bar=1,bar=2"]],
    [["foo@bar@baz=1,bar=2"]],
    [[bars(1, 10), bars(11, 20), bars(21, 30), bars(31, 33)]],
    [["foo=1", `${"z".repeat(257)}=1`]],
    [["foo=1", `${"t".repeat(242)}@v=1`]],
    [["foo=1", `t@${"v".repeat(15)}=1`]],
    [["foo=bar=baz"]],
    [["foo=,bar=3"]],
  ])("drops the whole state for %j, and keeps the trace", async (sent) => {
    expect(await stateAfter(...sent)).toEqual([]);
  });
});

describe("calls to this machine outside the mesh", () => {
  const faces: Readonly<
    Record<string, (mesh: Mesh, url: string, headers: Record<string, string>) => Promise<unknown>>
  > = {
    "mesh.fetch": async (mesh, url, headers) => (await mesh.fetch(url, { headers })).text(),
    "mesh.fetch of a Request": async (mesh, url, headers) => (await mesh.fetch(new Request(url, { headers }))).text(),
    "mesh.request": async (mesh, url, headers) => (await mesh.request(url, { headers })).body.text(),
    "the built-in fetch": async (mesh, url, headers) => {
      mesh.install();
      try {
        return await (await fetch(url, { headers })).text();
      } finally {
        mesh.uninstall();
      }
    },
  };

  test.each(Object.entries(faces))("%s carries the visit's trace, unless its caller wrote one", async (_name, call) => {
    const seen: NodeJS.Dict<string | string[]>[] = [];
    const next = createServer((request, response) => {
      seen.push(request.headers);
      response.end();
    }).listen(0, "127.0.0.1");
    await once(next, "listening");
    const url = `http://127.0.0.1:${(next.address() as AddressInfo).port}/`;
    const mesh = createMesh({ policies: [], endpoints: {}, service: "forwarder" });
    const own = `00-${"a".repeat(32)}-${"b".repeat(16)}-01`;
    const { port } = await mesh.listen(
      async (_request, response) => {
        await call(mesh, url, { "x-app": "1" });
        await call(mesh, url, { traceparent: own });
        response.end();
      },
      { port: 0, host: "127.0.0.1", signals: false },
    );
    const sent = requestOverHttp({ host: "127.0.0.1", port, agent: false, headers: { traceparent: valid } }).end();
    const [response] = await once(sent, "response");
    await text(response);
    await mesh.leave();
    next.closeAllConnections();
    next.close();
    expect(seen).toHaveLength(2);
    expect(seen[0]).toMatchObject({ "x-app": "1" });
    expect(read(seen[0]!)).toMatchObject({ traceId: TRACE, flags: "01" });
    expect(seen[1]?.traceparent).toBe(own);
  });

  test("outside a visit they leave as they were written", async () => {
    const seen: NodeJS.Dict<string | string[]>[] = [];
    const next = createServer((request, response) => {
      seen.push(request.headers);
      response.end();
    }).listen(0, "127.0.0.1");
    await once(next, "listening");
    const mesh = createMesh({ policies: [], endpoints: {}, service: "forwarder" });
    await (await mesh.fetch(`http://127.0.0.1:${(next.address() as AddressInfo).port}/`)).text();
    await mesh.leave();
    next.closeAllConnections();
    next.close();
    expect(seen[0]).not.toHaveProperty("traceparent");
  });
});
