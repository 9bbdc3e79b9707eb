import { once } from "node:events";
import { mkdtemp, readFile, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, type DetailedPeerCertificate } from "node:tls";
import { type ConfigServer, type ConfigServerOptions, createConfigServer } from "@tulle/config-server";
import { MESH_PATH, type ServerMessage, type ServerStatus } from "@tulle/protocol";
import { FakeClock, makeCertificateRequest } from "@tulle/testing";
import { Agent, request } from "undici";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";

const servers: ConfigServer[] = [];

const start = async (options: ConfigServerOptions = {}): Promise<ConfigServer> => {
  const server = await createConfigServer({ port: 0, adminPort: 0, ...options });
  servers.push(server);
  return server;
};

afterEach(async () => {
  for (const server of servers.splice(0)) await server.close();
});

const ask = async (server: ConfigServer, path: string, posted?: object): Promise<{ status: number; body: unknown }> => {
  const dispatcher = new Agent({ connect: { ca: server.ca } });
  const reply = await request(new URL(path, server.adminUrl), {
    dispatcher,
    headers: { authorization: `Bearer ${server.adminToken}`, "content-type": "application/json" },
    ...(posted === undefined ? {} : { method: "POST", body: JSON.stringify(posted) }),
  });
  const answer = { status: reply.statusCode, body: await reply.body.json() };
  await dispatcher.close();
  return answer;
};

const status = async (server: ConfigServer): Promise<ServerStatus> =>
  (await ask(server, "/v1/status")).body as ServerStatus;

const dial = (server: ConfigServer, token?: string): WebSocket =>
  new WebSocket(`${server.url}${MESH_PATH}`, {
    ca: server.ca,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  });

const hello = {
  type: "hello",
  protocol: { min: 1, max: 1 },
  features: [],
  software: "test/1",
  member: { id: "reviews-1", namespace: "default", service: "reviews", labels: {} },
  held: {},
  subscriptions: [],
};

const welcomed = async (socket: WebSocket): Promise<ServerMessage> => {
  await once(socket, "open");
  socket.send(JSON.stringify(hello));
  const [data] = await once(socket, "message");
  return JSON.parse(String(data));
};

const certificateRequest = async (): Promise<string> =>
  JSON.stringify({ type: "certificate-request", id: 1, csr: await makeCertificateRequest() });

/** The first message of a type that comes from now on. */
const next = (socket: WebSocket, type: ServerMessage["type"]): Promise<ServerMessage> =>
  new Promise((resolve) => {
    socket.on("message", (data) => {
      const message: ServerMessage = JSON.parse(String(data));
      if (message.type === type) resolve(message);
    });
  });

/** The chain that a listener shows, leaf first. */
const chainOf = async (url: string): Promise<readonly DetailedPeerCertificate[]> => {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false });
  await once(socket, "secureConnect");
  const chain: DetailedPeerCertificate[] = [];
  for (
    let each = socket.getPeerCertificate(true);
    each !== undefined && !chain.includes(each);
    each = each.issuerCertificate
  ) {
    chain.push(each);
  }
  socket.destroy();
  return chain;
};

describe("a config-server", () => {
  test("answers its admin API over TLS of its own CA, and members by token", async () => {
    const server = await start();
    expect(await status(server)).toMatchObject({ trustDomain: "cluster.local", members: 0, inStartGrace: true });
    const { token } = await server.createToken({ serviceAccount: "reviews" });
    const socket = dial(server, token);
    expect(await welcomed(socket)).toMatchObject({
      type: "welcome",
      spiffeId: "spiffe://cluster.local/ns/default/sa/reviews",
    });
    expect(await ask(server, "/v1/members")).toMatchObject({ body: { members: [] } });
    const certificate = next(socket, "certificate");
    socket.send(await certificateRequest());
    expect(await certificate).toMatchObject({ id: 1, chain: expect.stringContaining("BEGIN CERTIFICATE") });
    expect(await ask(server, "/v1/members")).toMatchObject({
      body: { members: [{ id: "reviews-1", connected: true }] },
    });
    const closed = once(socket, "close");
    await server.close();
    expect((await closed)[0]).toBe(1012);
  });

  test("serves nobody by a single-use token that another has used", async () => {
    const server = await start();
    const { token } = await server.createToken({ serviceAccount: "reviews" });
    const owner = dial(server, token);
    await welcomed(owner);
    const certificate = next(owner, "certificate");
    owner.send(await certificateRequest());
    await certificate;
    const thief = dial(server, token);
    const told: string[] = [];
    thief.on("message", (data) => told.push(JSON.parse(String(data)).stream ?? ""));
    expect(await welcomed(thief)).toMatchObject({ type: "welcome" });
    const refused = next(thief, "refused");
    const closed = once(thief, "close");
    thief.send(await certificateRequest());
    expect(await refused).toMatchObject({ code: "token-used" });
    expect((await closed)[0]).toBe(1008);
    expect(new Set(told)).toEqual(new Set(["", "trust"]));
    expect(await ask(server, "/v1/members")).toMatchObject({ body: { members: [{ connected: true }] } });
  });

  test("refuses a member without any proof, with its reason", async () => {
    const server = await start();
    const socket = dial(server);
    const [, response] = await once(socket, "unexpected-response");
    expect(response.statusCode).toBe(401);
    socket.on("error", () => undefined);
    socket.terminate();
  });

  test("shows the root in its chain, and says its SPIFFE ID, on both listeners", async () => {
    const server = await start();
    for (const url of [server.url, server.adminUrl]) {
      const chain = await chainOf(url);
      expect(chain).toHaveLength(2);
      expect(chain[0]?.subjectaltname).toContain("URI:spiffe://cluster.local/ns/tulle-system/sa/config-server");
    }
  });

  test("renews its own certificate at half life while it listens", async () => {
    const clock = new FakeClock();
    const server = await start({ clock, certificateTtlMs: 60_000 });
    const serials = async () => {
      const chains = await Promise.all([chainOf(server.url), chainOf(server.adminUrl)]);
      return chains.map(([leaf]) => leaf?.serialNumber);
    };
    const before = await serials();
    clock.advance(30_000);
    await expect.poll(serials).not.toEqual(before);
    const [member, admin] = await serials();
    expect(member).toBe(admin);
  });

  test("comes back on its state folder with the same root, admin token, policies and join tokens", async () => {
    const stateDir = join(await mkdtemp(join(tmpdir(), "tulle-")), "state");
    const first = await start({ stateDir });
    const { revision } = await first.apply([{ kind: "Service", name: "reviews" }]);
    const { token } = await first.createToken({ serviceAccount: "reviews" });
    await first.close();
    const second = await start({ stateDir });
    expect([second.pin, second.adminToken, second.ca]).toEqual([first.pin, first.adminToken, first.ca]);
    expect(await status(second)).toMatchObject({ revision });
    expect(await welcomed(dial(second, token))).toMatchObject({ type: "welcome" });
    const file = join(stateDir, "admin.json");
    expect(JSON.parse(await readFile(file, "utf8"))).toEqual({
      url: second.adminUrl,
      token: second.adminToken,
      ca: second.ca,
    });
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  test("refuses an apply whole, and changes nothing", async () => {
    const server = await start();
    const { revision } = await server.apply([{ kind: "Service", name: "reviews", subsets: { v1: { version: "v1" } } }]);
    const route = { kind: "Route", name: "reviews", services: ["reviews"], rules: [{ split: [{ subset: "v3" }] }] };
    await expect(server.apply([route, { kind: "Service", name: "ratings" }])).rejects.toMatchObject({
      problems: [{ policy: "Route/default/reviews", path: "rules[0].split[0].subset" }],
    });
    expect(await status(server)).toMatchObject({ revision });
  });

  test("warns with the names of the members that lack what a policy needs, at apply and at rollback", async () => {
    const server = await start();
    const { token } = await server.createToken({ serviceAccount: "reviews" });
    const socket = dial(server, token);
    await welcomed(socket);
    const certificate = next(socket, "certificate");
    socket.send(await certificateRequest());
    await certificate;
    const rules = [{ match: [{ headers: { "end-user": { regex: "(a+)+b" } } }] }];
    const route = { kind: "Route", name: "by-user", services: ["reviews"], rules };
    const warning = expect.stringMatching(
      /^Route\/default\/by-user needs policy:regex-re2 .* lack: reviews-1 of default\/reviews \(test\/1\);/,
    );
    const { revision, warnings } = await server.apply([{ kind: "Service", name: "reviews" }, route]);
    expect(warnings).toEqual([warning]);
    expect(await ask(server, "/v1/members")).toMatchObject({ body: { members: [{ id: "reviews-1", features: [] }] } });
    await server.apply([{ ...route, rules: [{}] }]);
    expect(await ask(server, "/v1/rollback", { revision })).toMatchObject({
      status: 200,
      body: { warnings: [warning] },
    });
  });

  test("answers the health check on both ports, and nothing else on the members'", async () => {
    const server = await start();
    const dispatcher = new Agent({ connect: { ca: server.ca } });
    const members = server.url.replace("wss", "https");
    for (const [url, code] of [
      [`${members}/healthz`, 200],
      [`${server.adminUrl}/healthz`, 200],
      [`${members}/v1/status`, 426],
    ] as const) {
      const reply = await request(url, { dispatcher });
      await reply.body.dump();
      expect([url, reply.statusCode]).toEqual([url, code]);
    }
    await dispatcher.close();
  });

  test("closes what it opened when an address is taken, and may be closed twice", async () => {
    const taken = createServer();
    taken.listen(0, "127.0.0.1");
    await once(taken, "listening");
    const address = taken.address();
    const port = typeof address === "object" ? (address?.port ?? 0) : 0;
    await expect(createConfigServer({ adminPort: 0, port })).rejects.toMatchObject({ code: "EADDRINUSE" });
    taken.close();
    const server = await start();
    await Promise.all([server.close(), server.close()]);
  });

  test.each<[ConfigServerOptions, string]>([
    [{ trustDomain: "Not A Domain" }, 'trustDomain "Not A Domain" is none'],
    [{ port: 70_000 }, "port 70000 is none: write 0 to 65535"],
    [{ adminPort: 1.5 }, "adminPort 1.5 is none"],
    [{ certificateTtlMs: 10 }, "certificateTtlMs 10 is out of range"],
    [{ startGraceMs: Number.NaN }, "startGraceMs NaN is no length of time"],
  ])("refuses %o", async (options, message) => {
    await expect(createConfigServer(options)).rejects.toThrow(message);
  });
});
