import { createServer, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { createTestAuthority, FakeClock, seededRandom } from "@tulle/testing";
import { constant } from "@tulle/time";
import { describe, expect, test } from "vitest";
import { LOOK_FIRST_MS } from "../src/transport/client-pool.ts";
import { clientOf, endpointAt, snapshotOf } from "./mesh-of-servers.ts";
import { TestServer } from "./transport-kit.ts";

const authority = await createTestAuthority("cluster.local");

/** A server that answers on raw sockets, so that a test can close one at the worst moment. It counts what it was asked. */
class RawServer {
  readonly asked = new Map<string, number>();
  /** The TCP socket of the last answer. */
  last: Socket | undefined;
  /** TCP sockets by the port of their peer, for those that speak TLS. */
  readonly tcp = new Map<number | undefined, Socket>();
  /** What is said beside the status. */
  headers = "";
  /** Called for each request before it is answered; false: closes the connection instead. */
  serves: (socket: Socket) => boolean = () => true;

  readonly connected = (socket: Socket): void => {
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      const path = / (\S+) HTTP/.exec(String(chunk))?.[1] ?? "";
      if (!this.serves(socket)) {
        socket.destroy();
        return;
      }
      this.asked.set(path, (this.asked.get(path) ?? 0) + 1);
      this.last = this.tcp.get(socket.remotePort) ?? socket;
      socket.write(`HTTP/1.1 200 OK\r\n${this.headers}content-length: 2\r\n\r\nok`);
    });
  };
}

/** Ways in which a peer closes, below TLS where that is spoken: a process that dies sends no farewell. */
const closings = {
  FIN: (socket: Socket) => void socket.destroy(),
  RST: (socket: Socket) => void socket.resetAndDestroy(),
};

const serve = async (raw: RawServer, mtls: boolean) => {
  if (!mtls) return TestServer.on(createServer(raw.connected));
  const svid = await authority.issue({ serviceAccount: "reviews" });
  const server = createTlsServer(
    { key: svid.privateKey, cert: svid.certificateChain, ca: [authority.root], requestCert: true },
    raw.connected,
  );
  server.prependListener("connection", (socket: Socket) => raw.tcp.set(socket.remotePort, socket));
  return TestServer.on(server);
};

const clientTo = async (server: TestServer, mtls: boolean, clock?: FakeClock) =>
  clientOf(
    snapshotOf({
      reviews: {
        endpoints: [{ ...endpointAt(server.port), transport: mtls ? "mtls" : "plaintext" }],
        // Every other call meets a close here: neither is what this is about.
        policy: { circuitBreaker: false, retryBudget: { ratio: 1, minPerSecond: 10_000 } },
      },
    }),
    {
      ...(mtls ? { credentials: constant(await authority.issue({ serviceAccount: "productpage" })) } : {}),
      ...(clock === undefined ? {} : { clock }),
    },
  );

type Caller = Awaited<ReturnType<typeof clientTo>>;

const ask = (client: Caller, method: string, path: string): Promise<string> =>
  client.request(`http://reviews${path}`, { method, ...(method === "POST" ? { body: "a review" } : {}) }).then(
    ({ body }) => body.text(),
    (error: { code?: string }) => error.code ?? String(error),
  );

describe.each([
  ["plaintext", false, 1_000],
  ["mTLS", true, 200],
] as const)("over %s", (_name, mtls, rounds) => {
  test.each(Object.entries(closings))(
    "no POST meets an idle connection that its peer closed by %s in the same moment",
    async (_how, close) => {
      const raw = new RawServer();
      await using server = await serve(raw, mtls);
      const clock = new FakeClock();
      await using client = await clientTo(server, mtls, clock);
      const answers = new Map<string, number>();
      for (let round = 0; round < rounds; round++) {
        await ask(client, "POST", `/${round}/first`);
        clock.advance(LOOK_FIRST_MS);
        if (raw.last !== undefined) close(raw.last);
        const answer = await ask(client, "POST", `/${round}/second`);
        answers.set(answer, (answers.get(answer) ?? 0) + 1);
      }
      expect(Object.fromEntries(answers)).toEqual({ ok: rounds });
      expect(new Set(raw.asked.values())).toEqual(new Set([1]));
      const { unsentReplays, connections } = client.counters();
      expect(unsentReplays).toBeGreaterThan(0);
      expect(connections).toBeGreaterThan(rounds / 2);
    },
    30_000,
  );

  test("a close on its way while the request is sent fails no GET, and no POST is sent twice", async () => {
    const raw = new RawServer();
    await using server = await serve(raw, mtls);
    await using client = await clientTo(server, mtls);
    const random = seededRandom(3);
    const answers = { GET: new Map<string, number>(), POST: new Map<string, number>() };
    for (let round = 0; round < rounds / 4; round++) {
      const method = round % 2 === 0 ? "GET" : "POST";
      await ask(client, "GET", `/${round}/first`);
      const socket = raw.last;
      const close = random() < 0.5 ? closings.FIN : closings.RST;
      let turns = Math.floor(random() * 4);
      const closeSoon = (): void => {
        if (turns-- > 0) setImmediate(closeSoon);
        else if (socket !== undefined) close(socket);
      };
      const answered = ask(client, method, `/${round}/second`);
      closeSoon();
      const answer = await answered;
      answers[method].set(answer, (answers[method].get(answer) ?? 0) + 1);
    }
    expect([...answers.GET.keys()]).toEqual(["ok"]);
    for (const answer of answers.POST.keys()) expect(["ok", "CONNECTION_TERMINATED"]).toContain(answer);
    for (const [path, times] of raw.asked) {
      if (path.endsWith("second") && Number(path.split("/")[1]) % 2 === 1) expect(times).toBe(1);
    }
  }, 30_000);
});

describe("a server that closes idle connections", () => {
  /** By the clock of the test: what arrives on a connection that was idle for too long finds it closed. */
  const idleServer = (clock: FakeClock, idleMs: number, headers = ""): RawServer => {
    const raw = new RawServer();
    raw.headers = headers;
    const usedAt = new WeakMap<Socket, number>();
    raw.serves = (socket) => {
      const idle = clock.now() - (usedAt.get(socket) ?? clock.now());
      usedAt.set(socket, clock.now());
      return idle < idleMs;
    };
    return raw;
  };

  test.each([
    ["after 5 s without announcing it", 5_000, ""],
    ["after 5 s, as it announced", 5_000, "keep-alive: timeout=5\r\n"],
    ["after 2 s, as it announced", 2_000, "keep-alive: timeout=2\r\n"],
    ["after 1 s, as it announced", 1_000, "keep-alive: timeout=1, max=100\r\n"],
  ])(
    "%s never meets a POST",
    async (_name, idleMs, headers) => {
      const clock = new FakeClock();
      const raw = idleServer(clock, idleMs, headers);
      await using server = await serve(raw, false);
      await using client = await clientTo(server, false, clock);
      const random = seededRandom(5);
      const answers = new Set<string>();
      for (let round = 0; round < 500; round++) {
        answers.add(await ask(client, "POST", `/${round}`));
        clock.advance(random() * 1.5 * idleMs);
      }
      expect([...answers]).toEqual(["ok"]);
      const { idleRetired, connections } = client.counters();
      expect(idleRetired).toBeGreaterThan(0);
      // Those that were idle for a short time were used again.
      expect(connections).toBeLessThan(450);
    },
    30_000,
  );
});
