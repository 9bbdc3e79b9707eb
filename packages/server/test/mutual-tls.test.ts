import { once } from "node:events";
import { connect as tlsConnect } from "node:tls";
import type { Credentials, InboundSnapshot } from "@tulle/policy";
import { createTestAuthority } from "@tulle/testing";
import { constant, Watchable } from "@tulle/time";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { call, inbound, testServer } from "./fixtures.ts";

let authority: Awaited<ReturnType<typeof createTestAuthority>>;
let stranger: Awaited<ReturnType<typeof createTestAuthority>>;
let own: Credentials;

beforeAll(async () => {
  authority = await createTestAuthority();
  stranger = await createTestAuthority("elsewhere.example");
  own = await authority.issue({ serviceAccount: "reviews" });
});

const listening = async (
  mtls: InboundSnapshot | undefined = inbound("strict"),
  credentials: Credentials | "none" = own,
) => {
  const served: (string | undefined)[] = [];
  const server = testServer({
    inbound: constant(mtls),
    credentials: constant(credentials === "none" ? undefined : credentials),
  });
  const listener = await server.listen(
    (request, response) => {
      served.push(String(request.headers["x-forwarded-client-cert"]));
      response.end("hello");
    },
    { port: 0, host: "127.0.0.1" },
  );
  return { server, listener, served };
};

describe("a strict port", () => {
  test("serves a peer of the own trust domain and tells the handler who it is", async () => {
    const { listener, served } = await listening();
    const caller = await authority.issue({ serviceAccount: "productpage" });
    expect(await call(listener.port, { as: caller })).toMatchObject({ status: 200, body: "hello" });
    expect(listener.transport).toBe("mtls");
    expect(served).toEqual([
      "By=spiffe://cluster.local/ns/default/sa/reviews;URI=spiffe://cluster.local/ns/default/sa/productpage",
    ]);
  });

  const certificates: readonly (readonly [string, string, () => Promise<Credentials | undefined>])[] = [
    ["of another trust domain", "PEER_UNTRUSTED", () => stranger.issue()],
    [
      "of another authority that says our trust domain",
      "PEER_UNTRUSTED",
      () => stranger.issue({ spiffeId: "spiffe://cluster.local/ns/default/sa/productpage" }),
    ],
    ["that is expired", "PEER_EXPIRED", () => authority.issue({ expired: true })],
    ["that is not valid yet", "PEER_EXPIRED", () => authority.issue({ notBeforeMs: Date.now() + 600_000 })],
    ["without a SPIFFE ID", "PEER_UNTRUSTED", () => authority.issue({ uris: [], dnsNames: ["productpage"] })],
    [
      "with two URIs",
      "PEER_UNTRUSTED",
      () =>
        authority.issue({
          uris: ["spiffe://cluster.local/ns/default/sa/a", "spiffe://cluster.local/ns/default/sa/b"],
        }),
    ],
    ["that is absent", "PEER_ABSENT", async () => undefined],
  ];
  test.each(certificates)("refuses a certificate %s as %s", async (_what, code, make) => {
    const { server, listener, served } = await listening();
    const as = await make();
    await expect(call(listener.port, as === undefined ? { tls: true } : { as })).rejects.toMatchObject({
      code: expect.stringMatching(/ECONNRESET|EPIPE|ERR_SSL/),
    });
    expect(server.counters()[`refused.${code}`]).toBe(1);
    expect(served).toEqual([]);
    await vi.waitFor(() => expect(listener.connections()).toBe(0));
  });

  test("refuses plaintext", async () => {
    const { server, listener, served } = await listening();
    await expect(call(listener.port)).rejects.toMatchObject({ code: "ECONNRESET" });
    expect(server.counters()["refused.PLAINTEXT_REFUSED"]).toBe(1);
    expect(served).toEqual([]);
  });

  test("refuses TLS while there is no certificate of its own", async () => {
    const { server, listener } = await listening(inbound("strict"), "none");
    await expect(call(listener.port, { tls: true })).rejects.toMatchObject({
      code: expect.stringMatching(/ECONNRESET/),
    });
    expect(server.counters()["refused.NOT_READY"]).toBe(1);
  });
});

test.each([
  ["TLS 1.2", { maxVersion: "TLSv1.2" }],
  ["an application protocol that nobody speaks here", { ALPNProtocols: ["acme-tls/1"] }],
] as const)("%s is refused in the handshake, whatever the certificate", async (_what, options) => {
  const { server, listener, served } = await listening();
  const caller = await authority.issue({ serviceAccount: "productpage" });
  const socket = tlsConnect({
    port: listener.port,
    host: "127.0.0.1",
    rejectUnauthorized: false,
    cert: caller.certificateChain,
    key: caller.privateKey,
    ...options,
  });
  await expect(once(socket, "secureConnect")).rejects.toThrow(/alert/);
  await vi.waitFor(() => expect(server.counters()).toMatchObject({ failedHandshakes: 1, visits: 0 }));
  expect(served).toEqual([]);
});

test("an expired certificate is refused with a word about a clock that is off, once a minute", async () => {
  const notices: string[] = [];
  const server = testServer({
    inbound: constant(inbound("strict")),
    credentials: constant(own),
    clockSkewMs: () => -600_000,
    onNotice: (text) => void notices.push(text),
  });
  const listener = await server.listen((_request, response) => response.end("hello"), { port: 0, host: "127.0.0.1" });
  const as = await authority.issue({ expired: true });
  await expect(call(listener.port, { as })).rejects.toThrow();
  await expect(call(listener.port, { as })).rejects.toThrow();
  expect(notices).toEqual([
    expect.stringMatching(
      /^a connection of 127\.0\.0\.1 is refused: .* holds a certificate valid from .*; the clock of this machine is 600 s ahead of the config-server's$/,
    ),
  ]);
});

test("the roots of one trust domain do not vouch for another that is trusted too", async () => {
  const credentials = { ...own, bundles: [authority.bundle, stranger.bundle] };
  const { server, listener } = await listening(inbound("strict"), credentials);
  const impostor = await stranger.issue({ spiffeId: "spiffe://cluster.local/ns/default/sa/productpage" });
  await expect(call(listener.port, { as: impostor })).rejects.toThrow();
  expect(server.counters()["refused.PEER_UNTRUSTED"]).toBe(1);
  expect(await call(listener.port, { as: await stranger.issue() })).toMatchObject({ status: 200 });
});

test("a permissive port serves mTLS, TLS without a certificate and plaintext on one port, and refuses a bad certificate", async () => {
  const { server, listener, served } = await listening(inbound("permissive"));
  expect(await call(listener.port)).toMatchObject({ status: 200 });
  expect(await call(listener.port, { tls: true })).toMatchObject({ status: 200 });
  expect(await call(listener.port, { as: await authority.issue({ serviceAccount: "a" }) })).toMatchObject({
    status: 200,
  });
  await expect(call(listener.port, { as: await authority.issue({ expired: true }) })).rejects.toThrow();
  expect(served).toHaveLength(3);
  expect(server.counters()).toMatchObject({ "refused.PEER_EXPIRED": 1, visits: 3 });
});

test("a renewed certificate is shown to new connections, and open ones live on", async () => {
  const credentials = new Watchable<Credentials | undefined>(own);
  const server = testServer({ inbound: constant(inbound("strict")), credentials });
  const listener = await server.listen((_request, response) => response.end("hello"), { port: 0, host: "127.0.0.1" });
  const caller = await authority.issue();
  const sockets: ReturnType<typeof tlsConnect>[] = [];
  const connectOnce = async () => {
    const socket = tlsConnect({
      port: listener.port,
      host: "127.0.0.1",
      rejectUnauthorized: false,
      cert: caller.certificateChain,
      key: caller.privateKey,
    });
    sockets.push(socket);
    await once(socket, "secureConnect");
    return socket;
  };
  const before = await connectOnce();
  credentials.set(await authority.issue({ serviceAccount: "reviews", generation: 2 }));
  const after = await connectOnce();
  expect(after.getPeerX509Certificate()!.serialNumber).not.toBe(before.getPeerX509Certificate()!.serialNumber);
  before.setEncoding("utf8").write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  const [reply] = await once(before, "data");
  expect(reply).toContain("200 OK");
  for (const socket of sockets) socket.destroy();
});

test("a TLS session is never resumed, so every connection is verified", async () => {
  const { listener } = await listening();
  const caller = await authority.issue();
  const options = {
    port: listener.port,
    host: "127.0.0.1",
    rejectUnauthorized: false,
    cert: caller.certificateChain,
    key: caller.privateKey,
  };
  const first = tlsConnect(options);
  const sessions: Buffer[] = [];
  first.on("session", (session) => sessions.push(session));
  await once(first, "secureConnect");
  first.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  await once(first, "data");
  const session = sessions.at(-1) ?? first.getSession();
  first.destroy();
  const second = tlsConnect({ ...options, ...(session === undefined ? {} : { session }) });
  await once(second, "secureConnect");
  expect(second.isSessionReused()).toBe(false);
  second.destroy();
});
