import "reflect-metadata";
import { generateKeyPairSync, webcrypto, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect as connectPlain, type Socket } from "node:net";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { gzipSync } from "node:zlib";
import {
  BasicConstraintsExtension,
  Pkcs10CertificateRequest,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
} from "@peculiar/x509";
import { type ConfigServer, type ConfigServerOptions, createConfigServer } from "@tulle/config-server";
import { MAX_MEMBER_MESSAGE_BYTES, MESH_PATH } from "@tulle/protocol";
import { createTestAuthority, FakeClock, makeCertificateRequest } from "@tulle/testing";
import { SignJWT } from "jose";
import { afterEach, describe, expect, test } from "vitest";
import { WebSocket } from "ws";
import { FAILED_JOIN_BURST } from "../src/enrollment/join-limiter.ts";
import { type JoinOutcome, type JoinWish, joinBy } from "./joining-member.ts";

/*
 * What an attacker may try against a config-server, over real sockets, each with what comes of it. Each row has a server of
 * its own, so that no row leaves another one slowed down or warned.
 */

const servers: ConfigServer[] = [];
const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) await server.close();
});

const start = async (options: ConfigServerOptions = {}): Promise<ConfigServer> => {
  const server = await createConfigServer({ port: 0, adminPort: 0, ...options });
  servers.push(server);
  return server;
};

/** A clock that begins now, so that TLS believes what the server shows, and that the test moves. */
const movable = (): FakeClock => new FakeClock(0, Date.now());
const HOUR_MS = 3_600_000;

const tokenFor = async (server: ConfigServer, serviceAccount: string = "reviews", more: object = {}): Promise<string> =>
  (await server.createToken({ serviceAccount, ...more })).token;

const refused = (code: string, where: Partial<JoinOutcome> = {}): JoinOutcome =>
  expect.objectContaining({ refused: code, ...where });

const encoded = (part: object): string => Buffer.from(JSON.stringify(part)).toString("base64url");
const decoded = (part: string = ""): object => JSON.parse(Buffer.from(part, "base64url").toString("utf8"));

describe("a join token", () => {
  type Attack = (server: ConfigServer, token: string) => string | undefined | Promise<string | undefined>;
  test.each<[string, Attack, JoinOutcome]>([
    ["that is missing", () => undefined, refused("unauthenticated", { status: 401 })],
    ["that is nonsense", () => "nonsense", refused("token-malformed", { status: 401 })],
    ["that is cut off", (_, token) => token.slice(0, -20), refused("token-signature", { status: 401 })],
    [
      "that has lost its signature",
      (_, token) => token.replace(/[^.]+$/, ""),
      refused("token-signature", { status: 401 }),
    ],
    [
      "of the algorithm none",
      (_, token) => `${encoded({ alg: "none", typ: "tulle-join+jwt" })}.${token.split(".")[1]}.`,
      refused("token-signature", { status: 401 }),
    ],
    [
      "of HS256 with an empty secret's worth of zeros",
      (_, token) =>
        new SignJWT({ ...decoded(token.split(".")[1]) })
          .setProtectedHeader({ alg: "HS256", typ: "tulle-join+jwt" })
          .sign(new Uint8Array(32)),
      refused("token-signature", { status: 401 }),
    ],
    [
      "with the service account of another",
      (_, token) => {
        const [header, payload, signature] = token.split(".");
        return [header, encoded({ ...decoded(payload), serviceAccount: "admin" }), signature].join(".");
      },
      refused("token-signature", { status: 401 }),
    ],
    ["of another mesh", async () => tokenFor(await start()), refused("token-signature", { status: 401 })],
    [
      "signed by a key of the attacker's",
      (_, token) =>
        new SignJWT({ ...decoded(token.split(".")[1]) })
          .setProtectedHeader({ alg: "ES256", typ: "tulle-join+jwt" })
          .sign(generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey),
      refused("token-signature", { status: 401 }),
    ],
    [
      "for the config-server's own identity",
      (server) => tokenFor(server, "config-server", { namespace: "tulle-system" }),
      refused("not-allowed", { status: 403 }),
    ],
    [
      "that was revoked",
      async (server, token) => {
        const { jti } = decoded(token.split(".")[1]) as { jti: string };
        await adminStatus(server, "DELETE", `/v1/tokens/${jti}`);
        return token;
      },
      refused("token-revoked", { status: 401 }),
    ],
    ["of eight kilobytes", () => "x".repeat(8_193), refused("token-malformed", { status: 401 })],
  ])("%s", async (_, attack, outcome) => {
    const server = await start();
    expect(await joinBy(server, await attack(server, await tokenFor(server)))).toEqual(outcome);
  });

  test("that has expired", async () => {
    const clock = movable();
    const server = await start({ clock });
    const token = await tokenFor(server);
    clock.advance(HOUR_MS + 1_000);
    // The server's own certificate was renewed on its clock, which is not the client's.
    expect(await joinBy(server, token, { socket: { rejectUnauthorized: false } })).toEqual(
      refused("token-expired", { status: 401 }),
    );
  });

  test("that is single-use, replayed with another key", async () => {
    const server = await start();
    const token = await tokenFor(server);
    expect(await joinBy(server, token)).toMatchObject({ chain: expect.any(String) });
    expect(await joinBy(server, token)).toEqual(refused("token-used", { closed: 1008 }));
  });

  test("that is single-use, again with the key that claimed it: a retry", async () => {
    const server = await start();
    const [token, csr] = [await tokenFor(server), await makeCertificateRequest()];
    for (let time = 0; time < 2; time++) {
      expect(await joinBy(server, token, { csr })).toMatchObject({ chain: expect.any(String) });
    }
  });

  test("that is single-use, raced for by twenty keys: one gets it", async () => {
    const server = await start();
    const token = await tokenFor(server);
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => joinBy(server, token)));
    expect(outcomes.filter(({ chain }) => chain !== undefined)).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome.refused === "token-used")).toHaveLength(19);
  });

  test("guessed at, again and again from one address", async () => {
    const server = await start();
    for (let guess = 0; guess < FAILED_JOIN_BURST; guess++) await joinBy(server, "guess");
    expect(await joinBy(server, "guess")).toEqual(refused("too-many", { status: 503 }));
  });

  test("in the form of another scheme", async () => {
    const server = await start();
    const headers = { authorization: `Basic ${await tokenFor(server)}` };
    expect(await joinBy(server, undefined, { socket: { headers } })).toEqual(
      refused("unauthenticated", { status: 401 }),
    );
  });
});

const own = "spiffe://cluster.local/ns/default/sa/reviews";
const ecdsa = (namedCurve: string = "P-256") =>
  webcrypto.subtle.generateKey({ name: "ECDSA", namedCurve }, true, ["sign", "verify"]);

const csrOf = async (uris: readonly string[] = [], more: object = {}): Promise<string> => {
  const request = await Pkcs10CertificateRequestGenerator.create(
    {
      keys: await ecdsa(),
      signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
      extensions:
        uris.length === 0 ? [] : [new SubjectAlternativeNameExtension(uris.map((value) => ({ type: "url", value })))],
      ...more,
    },
    webcrypto,
  );
  return request.toString("pem");
};

describe("a certificate request", () => {
  test.each<[string, () => Promise<string> | string, JoinOutcome]>([
    ["for another's name", () => csrOf(["spiffe://cluster.local/ns/default/sa/admin"]), refused("csr-subject")],
    [
      "for its own name and another's",
      () => csrOf([own, "spiffe://cluster.local/ns/default/sa/admin"]),
      refused("csr-subject"),
    ],
    [
      "for a name of another trust domain",
      () => csrOf(["spiffe://other.example/ns/default/sa/reviews"]),
      refused("csr-subject"),
    ],
    ["for a name in other letters", () => csrOf([own.replace("reviews", "Reviews")]), refused("csr-subject")],
    [
      "with an RSA key",
      async () =>
        csrOf([], {
          keys: await webcrypto.subtle.generateKey(
            {
              name: "RSASSA-PKCS1-v1_5",
              modulusLength: 2048,
              publicExponent: new Uint8Array([1, 0, 1]),
              hash: "SHA-256",
            },
            true,
            ["sign", "verify"],
          ),
          signingAlgorithm: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
        }),
      refused("csr-key"),
    ],
    ["with a P-521 key", async () => csrOf([], { keys: await ecdsa("P-521") }), refused("csr-key")],
    [
      "with somebody else's signature",
      async () => {
        const der = Buffer.from(new Pkcs10CertificateRequest(await csrOf([own])).rawData);
        der.writeUInt8(der.readUInt8(der.length - 3) ^ 0xff, der.length - 3);
        return `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
      },
      refused("csr-signature"),
    ],
    ["that is none", () => "hello", refused("csr-malformed")],
    ["that is two", async () => (await csrOf()).repeat(2), refused("csr-malformed")],
    ["that is huge", () => "x".repeat(8_193), refused("bad-message", { closed: 1002 })],
    ["that is empty", () => "", refused("bad-message", { closed: 1002 })],
  ])("%s", async (_, csr, outcome) => {
    const server = await start();
    expect(await joinBy(server, await tokenFor(server), { csr: await csr() })).toEqual(outcome);
  });

  test.each<[string, object]>([
    ["to be a CA", { extensions: [new BasicConstraintsExtension(true, 1, true)] }],
    ["with another's name as its subject", { name: "CN=spiffe://cluster.local/ns/default/sa/admin" }],
  ])("%s is answered by a leaf for its sender", async (_, more) => {
    const server = await start();
    const { chain = "" } = await joinBy(server, await tokenFor(server), { csr: await csrOf([], more) });
    const leaf = new X509Certificate(chain);
    expect([leaf.ca, leaf.subjectAltName, leaf.subject ?? ""]).toEqual([false, `URI:${own}`, ""]);
  });
});

interface Identity {
  readonly cert: string;
  readonly key: string;
}

/** A member's key and certificate, as it would be stolen with its disk. */
const memberOf = async (server: ConfigServer, serviceAccount: string = "reviews"): Promise<Identity> => {
  const keys = await ecdsa();
  const csr = await csrOf([], { keys });
  const { chain = "" } = await joinBy(server, await tokenFor(server, serviceAccount), { csr });
  const der = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  return { cert: chain, key: `-----BEGIN PRIVATE KEY-----\n${der}\n-----END PRIVATE KEY-----\n` };
};

const wish = (identity: Identity, more: Partial<JoinWish> = {}): JoinWish => ({ socket: { ...identity }, ...more });

describe("a member", () => {
  test("that shows its certificate gets the next one: the way that the attacks below leave", async () => {
    const server = await start();
    expect(await joinBy(server, undefined, wish(await memberOf(server)))).toMatchObject({
      spiffeId: own,
      chain: expect.any(String),
    });
  });

  test.each<[string, (server: ConfigServer) => Promise<Identity>]>([
    ["of another mesh, with the same names", async () => memberOf(await start())],
    ["of another trust domain", async () => memberOf(await start({ trustDomain: "other.example" }))],
    [
      "of a root that the attacker made, with the same names",
      async () => {
        const { certificateChain, privateKey } = await (await createTestAuthority()).issue({ spiffeId: own });
        return { cert: certificateChain, key: privateKey };
      },
    ],
  ])("with a certificate %s", async (_, identity) => {
    const server = await start();
    expect(await joinBy(server, undefined, wish(await identity(server)))).toEqual(
      refused("unauthenticated", { status: 401 }),
    );
  });

  test("with a certificate, or of an identity, that was revoked", async () => {
    const server = await start();
    const [one, other] = [await memberOf(server), await memberOf(server)];
    const serial = new X509Certificate(one.cert).serialNumber;
    await adminAsk(server, "/v1/certificates/revocations", { serial, reason: "stolen" });
    expect(await joinBy(server, undefined, wish(one))).toEqual(refused("revoked"));
    expect(await joinBy(server, undefined, wish(other))).toMatchObject({ chain: expect.any(String) });
    await adminAsk(server, "/v1/certificates/revocations", { spiffeId: own, reason: "taken over" });
    expect(await joinBy(server, undefined, wish(other))).toEqual(refused("revoked"));
    expect(await joinBy(server, await tokenFor(server))).toEqual(refused("revoked"));
    expect(await joinBy(server, await tokenFor(server, "ratings"))).toMatchObject({ chain: expect.any(String) });
  });

  test("with a certificate that has expired", async () => {
    const clock = movable();
    const server = await start({ clock, certificateTtlMs: HOUR_MS });
    const identity = await memberOf(server);
    clock.advance(HOUR_MS);
    // The server's own certificate was renewed on its clock, which is not the client's.
    const insecure = { socket: { ...identity, rejectUnauthorized: false } };
    expect(await joinBy(server, undefined, insecure)).toEqual(refused("unauthenticated", { status: 401 }));
  });

  test("that says it is of another namespace", async () => {
    const server = await start();
    expect(await joinBy(server, await tokenFor(server), "prod")).toEqual(
      refused("identity-mismatch", { closed: 1008 }),
    );
  });

  test("that registers for a service whose policy does not name it, after the certificate and before it", async () => {
    const server = await start();
    await server.apply([{ kind: "Service", name: "payments", serviceAccounts: ["payments"] }]);
    const register = {
      type: "register",
      id: 7,
      service: "default/payments",
      endpoint: { id: "e", address: "127.0.0.1", port: 1, transport: "mtls", labels: {} },
    };
    expect(await answerTo(server, { socket: await memberOf(server) }, register)).toMatchObject({
      id: 7,
      code: "not-allowed",
    });
    const headers = { authorization: `Bearer ${await tokenFor(server)}` };
    expect(await answerTo(server, { socket: { headers } }, register)).toMatchObject({ id: 7, code: "unauthenticated" });
  });

  test("that resumes a TLS session is checked as if it were new, for no session can be resumed", async () => {
    const server = await start();
    const identity = await memberOf(server);
    const first = await tls(server.url, { ca: server.ca, ...identity });
    let session: Buffer | undefined;
    first.on("session", (given: Buffer) => {
      session = given;
    });
    first.write("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
    await once(first, "data");
    const second = await tls(server.url, { ca: server.ca, session: session ?? first.getSession() });
    expect(second.isSessionReused()).toBe(false);
  });

  test.each(["TLSv1.2", "TLSv1.1"] as const)("that speaks %s", async (maxVersion) => {
    const server = await start();
    const versions = { minVersion: maxVersion, maxVersion, ciphers: "DEFAULT@SECLEVEL=0" };
    await expect(tls(server.url, { ca: server.ca, ...versions })).rejects.toThrow(/version|protocol/i);
  });
});

/** What a member that said hello is answered to one message. */
const answerTo = (server: ConfigServer, { socket: options = {} }: JoinWish, said: object): Promise<object> => {
  const socket = new WebSocket(`${server.url}${MESH_PATH}`, { ca: server.ca, ...options });
  const member = { id: "m1", namespace: "default", service: "reviews", labels: {} };
  const hello = {
    type: "hello",
    protocol: { min: 1, max: 1 },
    features: [],
    software: "x",
    member,
    held: {},
    subscriptions: [],
  };
  return new Promise<object>((resolve, reject) => {
    socket.on("error", reject);
    socket.on("open", () => socket.send(JSON.stringify(hello)));
    socket.on("message", (data) => {
      const message = JSON.parse(String(data));
      if (message.type === "welcome") socket.send(JSON.stringify(said));
      if (message.type === "refused") resolve(message);
    });
  }).finally(() => socket.terminate());
};

const tls = (url: string, options: ConnectionOptions): Promise<TLSSocket> => {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), ...options });
  sockets.push(socket);
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.once("secureConnect", () => resolve(socket.off("error", reject).on("error", () => undefined)));
  });
};

/** Everything that comes back for some bytes, until the server ends the connection. */
const rawly = async (server: ConfigServer, url: string, text: string): Promise<string> => {
  const socket = await tls(url, { ca: server.ca });
  let answer = "";
  socket.on("data", (chunk) => {
    answer += String(chunk);
  });
  const closed = once(socket, "close");
  socket.write(text);
  await closed;
  return answer;
};

/** The status of each answer that came, in order. */
const statuses = (answer: string): readonly number[] =>
  [...answer.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, code]) => Number(code));

const limits = { connectionTimeouts: { handshakeMs: 100, headersMs: 200, requestMs: 400 } } as const;

describe("a connection", () => {
  test.each(["url", "adminUrl"] as const)("that never shakes hands is closed (%s)", async (port) => {
    const server = await start(limits);
    const socket = connectPlain(Number(new URL(server[port]).port), "127.0.0.1");
    sockets.push(socket);
    await once(socket, "close");
  });

  test.each(["url", "adminUrl"] as const)("that speaks plain HTTP is closed (%s)", async (port) => {
    const server = await start();
    const socket = connectPlain(Number(new URL(server[port]).port), "127.0.0.1");
    sockets.push(socket);
    let answer = "";
    socket.on("data", (chunk) => {
      answer += String(chunk);
    });
    socket.on("error", () => undefined);
    socket.write("GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n");
    await once(socket, "close");
    expect(answer).not.toContain("HTTP/1.1");
  });

  test.each(["url", "adminUrl"] as const)(
    "that never ends its headers is answered 408 and closed (%s)",
    async (port) => {
      const server = await start(limits);
      expect(statuses(await rawly(server, server[port], "GET / HTTP/1.1\r\nhost: localhost\r\nx: "))).toEqual([408]);
    },
  );

  test("that never ends its body is answered 408 and closed", async () => {
    const server = await start(limits);
    const text = adminRequest(server, "POST", "/v1/apply", {
      "content-type": "application/json",
      "content-length": "9",
    });
    expect(statuses(await rawly(server, server.adminUrl, `${text}{"po`))).toEqual([408]);
  });

  test.each(["url", "adminUrl"] as const)("with headers of 17 KB is answered 431 and closed (%s)", async (port) => {
    const server = await start();
    const text = `GET / HTTP/1.1\r\nhost: localhost\r\nx: ${"x".repeat(17_000)}\r\n\r\n`;
    expect(statuses(await rawly(server, server[port], text))).toEqual([431]);
  });

  test.each([
    ["a frame far too large", (socket: WebSocket) => socket.send("x".repeat(2 * MAX_MEMBER_MESSAGE_BYTES)), 1009],
    [
      "fragments that grow without end",
      (socket: WebSocket) => {
        for (let part = 0; part < 40; part++) socket.send("x".repeat(65_536), { fin: false });
      },
      1009,
    ],
    // RSV1 says that the frame is compressed, which nobody agreed on.
    ["a compressed bomb", (socket: WebSocket) => rawOf(socket).write(Buffer.from("c18100000000aa", "hex")), 1002],
    ["a frame without its mask", (socket: WebSocket) => rawOf(socket).write(Buffer.from("810168", "hex")), 1002],
    ["a reserved opcode", (socket: WebSocket) => rawOf(socket).write(Buffer.from("838100000000aa", "hex")), 1002],
    [
      "a ping of more than a control frame holds",
      (socket: WebSocket) => rawOf(socket).write(Buffer.from("89fe008000000000", "hex")),
      1002,
    ],
  ])("that sends %s is closed", async (_, attack, code) => {
    const server = await start();
    const headers = { authorization: `Bearer ${await tokenFor(server)}` };
    const socket = new WebSocket(`${server.url}${MESH_PATH}`, { ca: server.ca, headers, perMessageDeflate: true });
    socket.on("error", () => undefined);
    await once(socket, "open");
    expect(socket.extensions).toBe("");
    const closed = once(socket, "close");
    attack(socket);
    expect((await closed)[0]).toBe(code);
  });

  test.each(["/v1/mesh/", "//v1/mesh", "/v1/../v1/mesh", "/v1/%6desh", "/V1/mesh", "/"])(
    "that asks for the upgrade at %s gets 404",
    async (path) => {
      const server = await start();
      const token = await tokenFor(server);
      const text = [
        `GET ${path} HTTP/1.1`,
        "host: localhost",
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-version: 13",
        "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==",
        `authorization: Bearer ${token}`,
        "",
        "",
      ].join("\r\n");
      expect(statuses(await rawly(server, server.url, text))).toEqual([404]);
    },
  );

  test("that asks the admin port for an upgrade, or to be a tunnel, gets none", async () => {
    const server = await start();
    const upgrade = adminRequest(server, "GET", "/v1/mesh", { connection: "upgrade", upgrade: "websocket" });
    expect(statuses(await rawly(server, server.adminUrl, upgrade.replace("connection: close\r\n", "")))).not.toContain(
      101,
    );
    expect(
      statuses(await rawly(server, server.adminUrl, "CONNECT 127.0.0.1:22 HTTP/1.1\r\nhost: localhost\r\n\r\n")),
    ).toEqual([]);
  });
});

const rawOf = (socket: WebSocket): Socket => (socket as unknown as { readonly _socket: Socket })._socket;

const adminRequest = (
  server: ConfigServer,
  method: string,
  path: string,
  headers: Readonly<Record<string, string | undefined>> = {},
): string => {
  const all = {
    host: new URL(server.adminUrl).host,
    authorization: `Bearer ${server.adminToken}`,
    connection: "close",
    ...headers,
  };
  const lines = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]));
  return [`${method} ${path} HTTP/1.1`, ...lines, "", ""].join("\r\n");
};

const adminStatus = async (
  server: ConfigServer,
  method: string,
  path: string,
  headers: Readonly<Record<string, string | undefined>> = {},
  body: string = "",
): Promise<readonly [number | undefined, string | undefined]> => {
  const length = body === "" ? {} : { "content-length": String(Buffer.byteLength(body)) };
  const answer = await rawly(
    server,
    server.adminUrl,
    adminRequest(server, method, path, { ...length, ...headers }) + body,
  );
  return [statuses(answer)[0], /"error":"([^"]+)"/.exec(answer)?.[1]];
};

/** Asks with the token of admin.json, or another. */
const adminAsk = async <T>(server: ConfigServer, path: string, body: object): Promise<T> => {
  const text = JSON.stringify(body);
  const headers = { "content-type": "application/json", "content-length": String(text.length) };
  const answer = await rawly(server, server.adminUrl, adminRequest(server, "POST", path, headers) + text);
  return JSON.parse(answer.slice(answer.indexOf("\r\n\r\n"))) as T;
};

const json = { "content-type": "application/json" };
const service = JSON.stringify({ policies: [{ kind: "Service", name: "evil" }] });

describe("the admin API", () => {
  type Asked = readonly [
    method: string,
    path: string,
    headers?: Readonly<Record<string, string | undefined>>,
    body?: string,
  ];
  test.each<[string, Asked, readonly [number, string?]]>([
    ["without a token", ["GET", "/v1/status", { authorization: undefined }], [401, "unauthorized"]],
    ["with a wrong token", ["GET", "/v1/status", { authorization: "Bearer wrong" }], [401, "unauthorized"]],
    ["with an empty token", ["GET", "/v1/status", { authorization: "Bearer " }], [401, "unauthorized"]],
    ["with another scheme", ["GET", "/v1/status", { authorization: "Basic YWRtaW46YWRtaW4=" }], [401, "unauthorized"]],
    [
      "with a token that looks like an admin's",
      ["GET", "/v1/status", { authorization: `Bearer tulle-admin.${"a".repeat(16)}.${"b".repeat(43)}` }],
      [401, "unauthorized"],
    ],
    ["at an unknown path without a token", ["GET", "/v1/nothing", { authorization: undefined }], [401, "unauthorized"]],
    ["from a web page", ["GET", "/v1/status", { origin: "https://evil.example" }], [403, "cross-site"]],
    ["from a web page without an origin of its own", ["GET", "/v1/status", { origin: "null" }], [403, "cross-site"]],
    [
      "from a page that a browser calls another site",
      ["GET", "/v1/status", { "sec-fetch-site": "cross-site" }],
      [403, "cross-site"],
    ],
    [
      "from a page that a browser calls the same site",
      ["GET", "/v1/status", { "sec-fetch-site": "same-site" }],
      [403, "cross-site"],
    ],
    ["from a page that was bent to this address", ["GET", "/v1/status", { host: "evil.example" }], [421, "wrong-host"]],
    ["at a host that only begins well", ["GET", "/v1/status", { host: "127.0.0.1.evil.example" }], [421, "wrong-host"]],
    ["at a host with a user in it", ["GET", "/v1/status", { host: "localhost@evil.example" }], [421, "wrong-host"]],
    [
      "by a preflight",
      [
        "OPTIONS",
        "/v1/apply",
        { origin: "https://evil.example", "access-control-request-method": "POST", authorization: undefined },
      ],
      [403, "cross-site"],
    ],
    [
      "by a form's text",
      ["POST", "/v1/apply", { "content-type": "text/plain" }, service],
      [415, "unsupported-media-type"],
    ],
    [
      "by a form",
      ["POST", "/v1/apply", { "content-type": "application/x-www-form-urlencoded" }, service],
      [415, "unsupported-media-type"],
    ],
    ["without a type", ["POST", "/v1/apply", {}, service], [415, "unsupported-media-type"]],
    [
      "by another method than it says",
      ["GET", "/v1/apply", { "x-http-method-override": "POST", ...json }],
      [405, "method-not-allowed"],
    ],
    ["at a path with two slashes", ["GET", "//v1/status"], [400, "bad-request"]],
    ["at a path that looks like a host", ["GET", "//["], [400, "bad-request"]],
    ["at an absolute target of another host", ["GET", "https://evil.example/v1/status"], [400, "bad-request"]],
    ["at a path with dots", ["GET", "/v1/tokens/../status"], [404, "not-found"]],
    ["at a path with encoded dots", ["GET", "/v1/tokens/%2e%2e/status"], [404, "not-found"]],
    ["at a path with encoded letters", ["GET", "/v1/%73tatus"], [404, "not-found"]],
    ["at a path in capitals", ["GET", "/V1/STATUS"], [404, "not-found"]],
    ["at a path with a slash at its end", ["GET", "/v1/status/"], [404, "not-found"]],
    ["at a path with a backslash", ["GET", "/v1\\status"], [404, "not-found"]],
    ["at a path with a fragment", ["GET", "/v1/status#x"], [400, "bad-request"]],
    [
      "at a health check with more behind it",
      ["GET", "/healthz/../v1/status", { authorization: undefined }],
      [401, "unauthorized"],
    ],
    ["for a token with slashes in its name", ["DELETE", "/v1/tokens/..%2fadmin-tokens%2fx"], [404, "unknown-token"]],
    [
      "with a compressed body",
      ["POST", "/v1/apply", { ...json, "content-encoding": "gzip" }, gzipSync(service).toString("latin1")],
      [400, "bad-json"],
    ],
    [
      "with a body that says it is of 5 MB",
      ["POST", "/v1/apply", { ...json, "content-length": "5000000" }],
      [413, "too-large"],
    ],
    [
      "with lists in lists without end",
      ["POST", "/v1/apply", json, `{"policies":[${"[".repeat(100_000)}${"]".repeat(100_000)}]}`],
      [422],
    ],
    [
      "with a prototype in place of a policy",
      ["POST", "/v1/apply", json, '{"policies":[],"__proto__":{"dryRun":true}}'],
      [400, "bad-request"],
    ],
    [
      "with both lengths of a smuggler",
      ["POST", "/v1/apply", { ...json, "content-length": "5", "transfer-encoding": "chunked" }, "0\r\n\r\n"],
      [400],
    ],
    [
      "with a chunk that is none",
      ["POST", "/v1/apply", { ...json, "content-length": undefined, "transfer-encoding": "chunked" }, "zz\r\n"],
      [400],
    ],
    [
      "with an encoding that hides another",
      [
        "POST",
        "/v1/apply",
        { ...json, "content-length": undefined, "transfer-encoding": "chunked, identity" },
        "0\r\n\r\n",
      ],
      [400],
    ],
  ])("%s", async (_, asked, [status, error]) => {
    const server = await start();
    const [method, path, headers, body] = asked;
    const answer = await adminStatus(server, method, path, headers, body);
    expect(error === undefined ? [answer[0]] : answer).toEqual(error === undefined ? [status] : [status, error]);
    expect((await adminStatus(server, "GET", "/v1/status"))[0]).toBe(200);
  });

  test.each<[string, (host: string, token: string) => string]>([
    [
      "two lengths",
      (host, token) =>
        `POST /v1/apply HTTP/1.1\r\nhost: ${host}\r\nauthorization: ${token}\r\ncontent-length: 0\r\ncontent-length: 44\r\n\r\n`,
    ],
    [
      "a header on two lines",
      (host, token) =>
        `GET /v1/status HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer\r\n ${token}\r\ntransfer-encoding:\r\n chunked\r\ncontent-length: 5\r\n\r\n`,
    ],
    [
      "a space before a colon",
      (host) => `GET /v1/status HTTP/1.1\r\nhost: ${host}\r\ntransfer-encoding : chunked\r\n\r\n`,
    ],
    ["no host", () => "GET /v1/status HTTP/1.1\r\n\r\n"],
    ["two hosts", (host) => `GET /v1/status HTTP/1.1\r\nhost: ${host}\r\nhost: evil.example\r\n\r\n`],
    [
      "two tokens",
      (host, token) =>
        `GET /v1/status HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer x\r\nauthorization: ${token}\r\n\r\n`,
    ],
    ["a NUL in a header", (host) => `GET /v1/status HTTP/1.1\r\nhost: ${host}\r\nx: a\0b\r\n\r\n`],
    ["a length with a sign", (host) => `POST /v1/apply HTTP/1.1\r\nhost: ${host}\r\ncontent-length: +5\r\n\r\nhello`],
    [
      "a bare line feed in a chunk's size",
      (host, token) =>
        `POST /v1/apply HTTP/1.1\r\nhost: ${host}\r\nauthorization: ${token}\r\ntransfer-encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n`,
    ],
    ["HTTP/2 without being asked", () => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
  ])("by a request with %s, which is answered once or not at all, and opens nothing", async (_, make) => {
    const server = await start({ connectionTimeouts: { headersMs: 500, requestMs: 500 } });
    const text = make(new URL(server.adminUrl).host, `Bearer ${server.adminToken}`);
    const smuggled = "GET /v1/tokens HTTP/1.1\r\nhost: localhost\r\n\r\n";
    const found = statuses(await rawly(server, server.adminUrl, text + smuggled));
    expect(found.length).toBeLessThanOrEqual(1);
    for (const status of found) expect([400, 505]).toContain(status);
  });

  test("with a token that has expired, was revoked, or may not", async () => {
    const clock = movable();
    const server = await start({ clock });
    const make = (order: object) => adminAsk<{ id: string; token: string }>(server, "/v1/admin-tokens", order);
    const [short, gone, reader, writer] = [
      await make({ name: "ci", ttl: "1m" }),
      await make({ name: "left" }),
      await make({ name: "dashboard", scope: "read" }),
      await make({ name: "pipeline" }),
    ];
    const by = ({ token }: { readonly token: string }) => ({ authorization: `Bearer ${token}`, ...json });
    expect(await adminStatus(server, "GET", "/v1/status", by(short))).toEqual([200, undefined]);
    clock.advance(60_000);
    expect(await adminStatus(server, "GET", "/v1/status", by(short))).toEqual([401, "token-expired"]);
    await adminStatus(server, "DELETE", `/v1/admin-tokens/${gone.id}`);
    expect(await adminStatus(server, "GET", "/v1/status", by(gone))).toEqual([401, "unauthorized"]);
    expect(await adminStatus(server, "GET", "/v1/status", by(reader))).toEqual([200, undefined]);
    expect(await adminStatus(server, "POST", "/v1/apply", by(reader), service)).toEqual([403, "forbidden"]);
    expect(await adminStatus(server, "POST", "/v1/apply", by(writer), service)).toEqual([200, undefined]);
    for (const [method, path] of [
      ["GET", "/v1/admin-tokens"],
      ["POST", "/v1/admin-tokens"],
      ["POST", "/v1/admin-tokens/rotate"],
      ["POST", "/v1/certificates/rotation/prepare"],
    ] as const) {
      expect(await adminStatus(server, method, path, by(writer), method === "POST" ? "{}" : "")).toEqual([
        403,
        "forbidden",
      ]);
    }
    const other = { token: `${writer.token.slice(0, -1)}${writer.token.endsWith("A") ? "B" : "A"}` };
    expect(await adminStatus(server, "GET", "/v1/status", by(other))).toEqual([401, "unauthorized"]);
  });

  test("with the token of admin.json after it was rotated, or with a join token", async () => {
    const server = await start();
    const before = server.adminToken;
    expect(await adminAsk(server, "/v1/admin-tokens/rotate", {})).toEqual({ rotated: true });
    expect(server.adminToken).not.toBe(before);
    expect(await adminStatus(server, "GET", "/v1/status", { authorization: `Bearer ${before}` })).toEqual([
      401,
      "unauthorized",
    ]);
    expect(await adminStatus(server, "GET", "/v1/status")).toEqual([200, undefined]);
    const joining = { authorization: `Bearer ${await tokenFor(server)}` };
    expect(await adminStatus(server, "GET", "/v1/status", joining)).toEqual([401, "unauthorized"]);
  });

  test("from a member: its certificate opens nothing", async () => {
    const server = await start();
    const socket = await tls(server.adminUrl, { ca: server.ca, ...(await memberOf(server)) });
    socket.write(adminRequest(server, "GET", "/v1/status", { authorization: undefined }));
    expect(statuses(String((await once(socket, "data"))[0]))).toEqual([401]);
  });

  test("listens on loopback alone unless it is told otherwise", async () => {
    const server = await start();
    const address: AddressInfo["address"] = new URL(server.adminUrl).hostname;
    expect(address).toBe("127.0.0.1");
  });
});
