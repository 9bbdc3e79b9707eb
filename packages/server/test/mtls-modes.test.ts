import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Credentials, InboundSnapshot, MtlsMode } from "@tulle/policy";
import type { MeshListener, MeshServer } from "@tulle/server";
import { createTestAuthority } from "@tulle/testing";
import { constant, Watchable } from "@tulle/time";
import { beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { call, inbound, testServer } from "./fixtures.ts";

let own: Credentials;
let caller: Credentials;

beforeAll(async () => {
  const authority = await createTestAuthority();
  own = await authority.issue({ serviceAccount: "reviews" });
  caller = await authority.issue({ serviceAccount: "productpage" });
});

interface Serving {
  readonly server: MeshServer;
  readonly listener: MeshListener;
  readonly policy: Watchable<InboundSnapshot | undefined>;
  /** Answers that the handler owes, oldest first. */
  readonly owed: ((body: string) => void)[];
}

/** `GET /wait` is answered when the test says so, `GET /stream` begins at once and ends then, anything else is answered. */
const serve = async (mtls: MtlsMode): Promise<Serving> => {
  const policy = new Watchable<InboundSnapshot | undefined>(inbound(mtls));
  const server = testServer({ inbound: policy, credentials: constant(own) });
  const owed: ((body: string) => void)[] = [];
  const listener = await server.listen(
    (request, response) => {
      if (request.url === "/stream") response.write("begun;");
      if (request.url === "/wait" || request.url === "/stream") owed.push((body) => void response.end(body));
      else response.end("ok");
    },
    { port: 0, host: "127.0.0.1" },
  );
  return { server, listener, policy, owed };
};

const open = async (port: number): Promise<{ socket: Socket; heard: () => string }> => {
  const socket = connect(port, "127.0.0.1").setEncoding("utf8");
  let heard = "";
  socket.on("data", (chunk) => {
    heard += chunk;
  });
  socket.on("error", () => undefined);
  onTestFinished(() => void socket.destroy());
  await once(socket, "connect");
  return { socket, heard: () => heard };
};

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nhost: reviews\r\n\r\n`;

const accepted = async (port: number, peer: "mtls" | "plaintext"): Promise<boolean> => {
  try {
    return (await call(port, peer === "mtls" ? { as: caller } : {})).status === 200;
  } catch {
    return false;
  }
};

describe("a port", () => {
  test.each([
    ["strict", false, true],
    ["permissive", true, true],
    ["disable", true, true],
  ] as const)("in the mode %s takes plaintext: %s, mTLS: %s", async (mode, plaintext, mtls) => {
    const { listener } = await serve(mode);
    expect(await accepted(listener.port, "plaintext")).toBe(plaintext);
    expect(await accepted(listener.port, "mtls")).toBe(mtls);
  });

  test("has its own mode beside the workload's, by the port that it listens on", async () => {
    const { server, listener, policy } = await serve("strict");
    const second = await server.listen((_request, response) => response.end("ok"), { port: 0, host: "127.0.0.1" });
    policy.set({
      ...inbound("strict"),
      authentication: [
        {
          kind: "Authentication",
          name: "a",
          selector: { service: "reviews" },
          mtls: { ports: { [second.port]: "disable" } },
        },
      ],
    });
    expect([await accepted(listener.port, "plaintext"), await accepted(second.port, "plaintext")]).toEqual([
      false,
      true,
    ]);
    expect([listener.transport, second.transport]).toEqual(["mtls", "plaintext"]);
  });

  test("tells what callers are to speak each time that it changes with the policy", async () => {
    const { listener, policy } = await serve("strict");
    const told: string[] = [];
    const stop = listener.onTransport((transport) => void told.push(transport));
    for (const mode of ["permissive", "disable", "permissive", "strict", "disable"] as const) policy.set(inbound(mode));
    expect(told).toEqual(["plaintext", "mtls", "plaintext"]);
    stop();
    policy.set(inbound("strict"));
    expect([told.length, listener.transport]).toEqual([3, "mtls"]);
  });
});

describe("when a port becomes strict under open connections", () => {
  test("an idle plaintext connection ends at once", async () => {
    const { listener, policy, server } = await serve("permissive");
    const { socket, heard } = await open(listener.port);
    socket.write(get("/"));
    await vi.waitFor(() => expect(heard()).toContain("ok"));
    policy.set(inbound("strict"));
    await once(socket, "close");
    expect(server.counters()).toMatchObject({ retiredConnections: 1 });
  });

  test("a reply under way in plaintext is finished, says that it is the last one, and ends the connection", async () => {
    const { listener, policy, owed } = await serve("permissive");
    const { socket, heard } = await open(listener.port);
    socket.write(get("/wait"));
    await vi.waitFor(() => expect(owed).toHaveLength(1));
    policy.set(inbound("strict"));
    owed[0]!("the whole answer");
    await once(socket, "close");
    expect(heard()).toContain("the whole answer");
    expect(heard()).toMatch(/connection: close\r\n/i);
  });

  test("a reply whose headers were out already is finished, and ends the connection", async () => {
    const { listener, policy, owed } = await serve("permissive");
    const { socket, heard } = await open(listener.port);
    socket.write(get("/stream"));
    await vi.waitFor(() => expect(heard()).toContain("begun;"));
    policy.set(inbound("strict"));
    owed[0]!("the rest");
    await once(socket, "close");
    expect(heard()).toContain("the rest");
  });

  test("a further request on such a connection reaches no handler", async () => {
    const { server, listener, policy, owed } = await serve("permissive");
    const { socket, heard } = await open(listener.port);
    socket.write(get("/wait"));
    await vi.waitFor(() => expect(owed).toHaveLength(1));
    policy.set(inbound("strict"));
    socket.write(get("/wait"));
    await vi.waitFor(() => expect(server.counters()["refused.PLAINTEXT_REFUSED"]).toBe(1));
    expect(owed).toHaveLength(1);
    owed[0]!("the first");
    await once(socket, "close");
    expect(heard()).toContain("the first");
  });

  test("a caller over TLS that showed no certificate has to leave too, and one with an identity stays", async () => {
    const { listener, policy } = await serve("permissive");
    const dial = async (as: Partial<Credentials>) => {
      const socket = connectTls({
        port: listener.port,
        host: "127.0.0.1",
        rejectUnauthorized: false,
        cert: as.certificateChain,
        key: as.privateKey,
      });
      onTestFinished(() => void socket.destroy());
      socket.on("error", () => undefined);
      let heard = "";
      socket.setEncoding("utf8").on("data", (chunk) => {
        heard += chunk;
      });
      socket.write(get("/"));
      await vi.waitFor(() => expect(heard).toContain("ok"));
      return { socket, heard: () => heard };
    };
    const nameless = await dial({});
    const named = await dial(caller);
    policy.set(inbound("strict"));
    await once(nameless.socket, "close");
    named.socket.write(get("/again"));
    await vi.waitFor(() => expect(named.heard().split("ok")).toHaveLength(3));
  });

  test("a connection that has not said anything is judged by the mode of the moment in which it does", async () => {
    const { server, listener, policy } = await serve("permissive");
    const { socket } = await open(listener.port);
    policy.set(inbound("strict"));
    socket.write(get("/"));
    await once(socket, "close");
    expect(server.counters()).toMatchObject({ visits: 0, "refused.PLAINTEXT_REFUSED": 1 });
  });
});

test("callers that keep calling over mTLS lose no request while the mode goes through all three, in either direction", async () => {
  const { listener, policy } = await serve("strict");
  let going = true;
  const failures: unknown[] = [];
  let calls = 0;
  const worker = async (): Promise<void> => {
    while (going) {
      await call(listener.port, { as: caller }).then(
        ({ status }) => status === 200 || failures.push(status),
        (error: unknown) => failures.push(error),
      );
      calls++;
    }
  };
  const workers = [worker(), worker(), worker()];
  for (const mode of ["permissive", "disable", "permissive", "strict", "disable", "strict"] as const) {
    policy.set(inbound(mode));
    const reached = calls + 10;
    await vi.waitFor(() => expect(calls).toBeGreaterThan(reached), { timeout: 10_000 });
  }
  going = false;
  await Promise.all(workers);
  expect(failures).toEqual([]);
});

test("callers of two ports lose no request while each port goes its own way, and each takes plaintext as it says", async () => {
  const { server, listener, policy } = await serve("strict");
  const second = await server.listen((_request, response) => response.end("ok"), { port: 0, host: "127.0.0.1" });
  const ports = (first: MtlsMode | "unset", other: MtlsMode | "unset"): InboundSnapshot => ({
    ...inbound("strict"),
    authentication: [
      {
        kind: "Authentication",
        name: "ports",
        selector: { service: "reviews" },
        mtls: { ports: { [listener.port]: first, [second.port]: other } },
      },
    ],
  });
  let going = true;
  const failures: unknown[] = [];
  let calls = 0;
  const worker = async (port: number): Promise<void> => {
    while (going) {
      await call(port, { as: caller }).then(
        ({ status }) => status === 200 || failures.push(status),
        (error: unknown) => failures.push(error),
      );
      calls++;
    }
  };
  const workers = [worker(listener.port), worker(second.port)];
  for (const [first, other] of [
    ["permissive", "strict"],
    ["unset", "disable"],
    ["disable", "unset"],
    ["strict", "permissive"],
  ] as const) {
    policy.set(ports(first, other));
    const reached = calls + 10;
    await vi.waitFor(() => expect(calls).toBeGreaterThan(reached), { timeout: 10_000 });
    const open = (mode: MtlsMode | "unset"): boolean => mode === "permissive" || mode === "disable";
    expect([await accepted(listener.port, "plaintext"), await accepted(second.port, "plaintext")]).toEqual([
      open(first),
      open(other),
    ]);
  }
  going = false;
  await Promise.all(workers);
  expect(failures).toEqual([]);
});
