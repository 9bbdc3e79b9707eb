import type { RequestListener, ServerResponse } from "node:http";
import type { TLSSocket } from "node:tls";
import type { Credentials } from "@tulle/policy";
import { createTestAuthority, type TestSvidOptions } from "@tulle/testing";
import { Watchable } from "@tulle/time";
import { describe, expect, test, vi } from "vitest";
import { clientOf, snapshotOf } from "./mesh-of-servers.ts";
import { poolPolicy, reviewsAt, TestCaller, TestServer, textOf } from "./transport-kit.ts";

const mesh = await createTestAuthority("cluster.local");
const stranger = await createTestAuthority("elsewhere.example");

/** An mTLS server that shows these credentials and accepts callers of the mesh. */
const serve = (credentials: Credentials, listener: RequestListener = (_request, response) => void response.end("ok")) =>
  TestServer.https(
    {
      key: credentials.privateKey,
      cert: credentials.certificateChain,
      ca: [mesh.root],
      requestCert: true,
      rejectUnauthorized: true,
    },
    listener,
  );

const serveReviews = async (listener?: RequestListener) =>
  serve(await mesh.issue({ serviceAccount: "reviews" }), listener);

const callerOf = async (
  server: TestServer,
  options: { credentials?: Credentials; serviceAccounts?: string[] } = {},
) => {
  const credentials = new Watchable<Credentials | undefined>(
    options.credentials ?? (await mesh.issue({ serviceAccount: "productpage" })),
  );
  const { serviceAccounts } = options;
  const caller = new TestCaller([server.endpoint({ transport: "mtls" })], {
    credentials,
    ...(serviceAccounts === undefined ? {} : { serviceAccounts }),
  });
  return { caller, credentials };
};

describe("a call over mTLS", () => {
  test("reaches the service's identity and shows its own", async () => {
    await using server = await serveReviews((request, response) => {
      const { subjectaltname } = (request.socket as TLSSocket).getPeerCertificate();
      response.end(`${subjectaltname} over ${(request.socket as TLSSocket).getProtocol()}`);
    });
    const { caller } = await callerOf(server);
    await using _ = caller;
    expect(await caller.text()).toBe("URI:spiffe://cluster.local/ns/default/sa/productpage over TLSv1.3");
  });

  test("accepts every account that the service names", async () => {
    await using server = await serve(await mesh.issue({ serviceAccount: "reviews-canary" }));
    const { caller } = await callerOf(server, { serviceAccounts: ["reviews", "reviews-canary"] });
    await using _ = caller;
    expect(await caller.text()).toBe("ok");
  });

  test("accepts the service under an alias of the mesh's trust domain, and nobody whom another mesh vouches for", async () => {
    const spiffeId = "spiffe://old.example/ns/default/sa/reviews";
    const former = await createTestAuthority("old.example");
    const credentials = new Watchable<Credentials | undefined>(
      await mesh.issue({ serviceAccount: "productpage", bundles: [mesh.bundle, former.bundle] }),
    );
    const call = async (shown: Credentials, trustDomainAliases: readonly string[]) => {
      await using server = await serve(shown);
      const outbound = snapshotOf(
        { reviews: { endpoints: [server.endpoint({ transport: "mtls" })] } },
        { kind: "Mesh", name: "mesh", trustDomainAliases },
      );
      await using client = clientOf(outbound, { credentials });
      return (await client.fetch("http://reviews/")).text();
    };
    expect(await call(await mesh.issue({ spiffeId }), ["old.example"])).toBe("ok");
    await expect(call(await mesh.issue({ spiffeId }), [])).rejects.toMatchObject({ code: "IDENTITY_MISMATCH" });
    await expect(call(await former.issue({ spiffeId }), ["old.example"])).rejects.toMatchObject({
      code: "IDENTITY_MISMATCH",
    });
  });

  test("tells of a clock that is off where a certificate is out of its time", async () => {
    await using server = await serve(
      await mesh.issue({ serviceAccount: "reviews", notBeforeMs: Date.now() + 600_000 }),
    );
    const credentials = new Watchable<Credentials | undefined>(await mesh.issue({ serviceAccount: "productpage" }));
    const outbound = snapshotOf({ reviews: { endpoints: [server.endpoint({ transport: "mtls" })] } });
    await using client = clientOf(outbound, { credentials, clockSkewMs: () => 600_000 });
    await expect(client.fetch("http://reviews/")).rejects.toMatchObject({
      code: "IDENTITY_MISMATCH",
      message: expect.stringContaining("the clock of this machine is 600 s behind the config-server's"),
    });
  });

  test.each([
    ["HEAD", undefined],
    ["DELETE", "why"],
  ])("keeps its connection after %s, which undici alone would close", async (method, body) => {
    await using server = await serveReviews(
      (request, response) => void request.resume().on("end", () => response.end()),
    );
    const { caller } = await callerOf(server);
    await using _ = caller;
    for (let each = 0; each < 20; each++) await caller.text({ method, ...(body === undefined ? {} : { body }) });
    expect(caller.transport.counters.connections).toBe(1);
  });

  test("makes no more handshakes than connections, whatever hosts the calls name", async () => {
    let handshakes = 0;
    await using server = await serveReviews();
    server.server.on("secureConnection", () => handshakes++);
    const { caller } = await callerOf(server);
    await using _ = caller;
    const authorities = ["reviews", "reviews.default.svc.cluster.local", "reviews:80"];
    let next = 0;
    const worker = async () => {
      while (next < 2_000) expect(await caller.text({ authority: authorities[next++ % 3]! })).toBe("ok");
    };
    await Promise.all(Array.from({ length: 20 }, worker));
    expect(handshakes).toBe(caller.transport.counters.handshakes);
    expect(handshakes).toBeLessThanOrEqual(40);
  });

  test("never resumes a session, for a resumed one shows no certificate", async () => {
    const reused: boolean[] = [];
    await using server = await serveReviews((request, response) => {
      reused.push((request.socket as TLSSocket).isSessionReused());
      response.writeHead(200, { connection: "close" });
      response.end("ok");
    });
    const { caller } = await callerOf(server);
    await using _ = caller;
    for (let call = 0; call < 3; call++) await caller.text();
    expect(reused).toEqual([false, false, false]);
    expect(caller.transport.counters.handshakes).toBe(3);
  });

  test("fails while the member has no certificate", async () => {
    await using server = await serveReviews();
    await using caller = new TestCaller([server.endpoint({ transport: "mtls" })]);
    const { attempt, reply } = caller.begin();
    await expect(reply).rejects.toMatchObject({
      code: "CONNECT_FAILED",
      message: expect.stringContaining("no certificate yet"),
    });
    expect(attempt.progress).toBe("not-sent");
  });
});

describe("a peer is refused before anything is sent to it when", () => {
  const rows: [name: string, make: () => Promise<Credentials>, found: string][] = [
    ["it is another service", () => mesh.issue({ serviceAccount: "ratings" }), "sa/ratings"],
    ["it is of another namespace", () => mesh.issue({ serviceAccount: "reviews", namespace: "evil" }), "ns/evil"],
    [
      "its name is of another trust domain though its chain is of ours",
      () => mesh.issue({ spiffeId: "spiffe://elsewhere.example/ns/default/sa/reviews" }),
      "spiffe://elsewhere.example/",
    ],
    ["it names nobody", () => mesh.issue({ uris: [], dnsNames: ["reviews"] }), "no URI"],
    [
      "it names two",
      () =>
        mesh.issue({
          uris: ["spiffe://cluster.local/ns/default/sa/reviews", "spiffe://cluster.local/ns/default/sa/other"],
        }),
      "2 URIs",
    ],
    ["its name is no SPIFFE ID", () => mesh.issue({ uris: ["https://reviews"] }), "no SPIFFE ID"],
    [
      "its name only begins like the service's",
      () => mesh.issue({ uris: ["spiffe://cluster.local/ns/default/sa/reviews-other"] }),
      "reviews-other",
    ],
    ["its chain leads to a stranger's root", () => stranger.issue(reviewsSvid), "cannot be verified"],
    ["its certificate is expired", () => mesh.issue({ ...reviewsSvid, expired: true }), "CERT_HAS_EXPIRED"],
    [
      "its certificate is not valid yet",
      () => mesh.issue({ ...reviewsSvid, notBeforeMs: Date.now() + 3_600_000 }),
      "CERT_NOT_YET_VALID",
    ],
  ];

  test.each(rows)("%s", async (_name, make, found) => {
    const handler = vi.fn();
    await using server = await serve(await make(), handler);
    const { caller } = await callerOf(server);
    await using _ = caller;
    const { attempt, reply } = caller.begin({ method: "POST", body: "secret" });
    await expect(reply).rejects.toMatchObject({ code: "IDENTITY_MISMATCH", message: expect.stringContaining(found) });
    expect(attempt).toMatchObject({ progress: "not-sent", code: "IDENTITY_MISMATCH" });
    expect(handler).not.toHaveBeenCalled();
  });

  const reviewsSvid: TestSvidOptions = { spiffeId: "spiffe://cluster.local/ns/default/sa/reviews" };

  test("its root is trusted for another domain only", async () => {
    await using server = await serve(await stranger.issue(reviewsSvid));
    const credentials = await mesh.issue({ bundles: [mesh.bundle, stranger.bundle] });
    const { caller } = await callerOf(server, { credentials });
    await using _ = caller;
    await expect(caller.begin().reply).rejects.toMatchObject({ code: "IDENTITY_MISMATCH" });
  });

  test("the mismatch says who was expected", async () => {
    await using server = await serve(await mesh.issue({ serviceAccount: "ratings" }));
    const { caller } = await callerOf(server);
    await using _ = caller;
    await expect(caller.begin().reply).rejects.toThrow(
      /should prove to be spiffe:\/\/cluster\.local\/ns\/default\/sa\/reviews, but showed spiffe:\/\/cluster\.local\/ns\/default\/sa\/ratings/,
    );
  });
});

describe("a peer that refuses our certificate", () => {
  test.each([
    ["of a strange root", () => stranger.issue({ spiffeId: "spiffe://cluster.local/ns/default/sa/productpage" })],
    ["that is expired", () => mesh.issue({ expired: true })],
  ])("%s ends the connection, and the error says so", async (_name, make) => {
    const handler = vi.fn();
    await using server = await serveReviews(handler);
    const own = await make();
    const { caller } = await callerOf(server, { credentials: { ...own, bundles: [mesh.bundle] } });
    await using _ = caller;
    const { reply } = caller.begin();
    const error = await reply.catch((caught: Error) => caught);
    expect(error).toMatchObject({ code: expect.stringMatching(/^(CONNECTION_TERMINATED|CONNECT_FAILED)$/) });
    expect(String(error)).toMatch(/refused our certificate/);
    expect(handler).not.toHaveBeenCalled();
  });
});

test("a peer that speaks TLS 1.2 only is not spoken to, and nothing is sent", async () => {
  const { privateKey, certificateChain } = await mesh.issue({ serviceAccount: "reviews" });
  await using server = await TestServer.https(
    {
      key: privateKey,
      cert: certificateChain,
      ca: [stranger.root],
      requestCert: true,
      rejectUnauthorized: true,
      maxVersion: "TLSv1.2",
    },
    (_request, response) => void response.end("never"),
  );
  const { caller } = await callerOf(server);
  await using _ = caller;
  const { attempt, reply } = caller.begin({ method: "POST", body: "x" });
  await expect(reply).rejects.toThrow(/PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL/);
  expect(attempt.progress).toBe("not-sent");
});

describe("a new generation of credentials", () => {
  test("is used by the next call, while those under way finish on the old one", async () => {
    const waiting: ServerResponse[] = [];
    const seen: string[] = [];
    await using server = await serveReviews((request, response) => {
      seen.push((request.socket as TLSSocket).getPeerCertificate().serialNumber);
      if (request.url === "/slow") waiting.push(response);
      else response.end("ok");
    });
    const { caller, credentials } = await callerOf(server);
    await using _ = caller;
    const slow = caller.begin({ path: "/slow" });
    await vi.waitFor(() => expect(waiting).toHaveLength(1));
    credentials.set(await mesh.issue({ serviceAccount: "productpage", generation: 2 }));
    expect(await caller.text()).toBe("ok");
    expect(seen[1]).not.toBe(seen[0]);
    waiting[0]?.end("slow but whole");
    expect(await textOf(await slow.reply)).toBe("slow but whole");
  });

  test("loses nothing under steady calls, generation after generation", async () => {
    const serials = new Set<string>();
    await using server = await serveReviews((request, response) => {
      serials.add((request.socket as TLSSocket).getPeerCertificate().serialNumber);
      response.end("ok");
    });
    const { caller, credentials } = await callerOf(server);
    await using _ = caller;
    const generations = await Promise.all(
      [2, 3, 4, 5, 6].map((generation) => mesh.issue({ serviceAccount: "productpage", generation })),
    );
    let running = true;
    let calls = 0;
    const worker = async () => {
      while (running) {
        expect(await caller.text({ method: "POST", body: "x" })).toBe("ok");
        calls++;
      }
    };
    const workers = Promise.all(Array.from({ length: 8 }, worker));
    for (const next of generations) {
      const before = calls;
      credentials.set(next);
      await vi.waitFor(() => expect(calls).toBeGreaterThan(before + 50));
    }
    running = false;
    await workers;
    expect(serials.size).toBe(6);
  });

  test("that no longer trusts the peer's root refuses the peer at once", async () => {
    await using server = await serveReviews();
    const { caller, credentials } = await callerOf(server);
    await using _ = caller;
    await caller.text();
    const other = await createTestAuthority("cluster.local");
    credentials.set(await mesh.issue({ generation: 2, bundles: [other.bundle] }));
    await expect(caller.begin().reply).rejects.toMatchObject({ code: "IDENTITY_MISMATCH" });
  });
});

test("a service that names other accounts is called over new connections, which are checked anew", async () => {
  await using server = await serveReviews();
  const { caller } = await callerOf(server);
  await using _ = caller;
  await caller.text();
  caller.endpoints.update(reviewsAt([server.endpoint({ transport: "mtls" })], ["somebody-else"]), poolPolicy);
  await expect(caller.begin().reply).rejects.toMatchObject({ code: "IDENTITY_MISMATCH" });
});

test("a verified peer's refusal proves that no handler saw the request, and its drain hint takes it out of the set", async () => {
  await using other = await serveReviews();
  await using server = await serveReviews((_request, response) => {
    response.writeHead(503, { "tulle-refused": "unprocessed", "tulle-drain": "1" });
    response.end();
  });
  const { caller } = await callerOf(server);
  await using _ = caller;
  const endpoints = [server, other].map((each) => each.endpoint({ transport: "mtls" }));
  caller.endpoints.update(reviewsAt(endpoints), poolPolicy);
  const { attempt, reply } = caller.begin();
  const got = await reply;
  got.discard();
  expect(attempt).toMatchObject({ progress: "refused", status: 503 });
  expect(Object.keys(got.headers)).not.toContain("tulle-drain");
  expect(caller.endpoints.subset(undefined).map(({ endpoint }) => endpoint)).toEqual([endpoints[1]]);
  expect(caller.endpoints.all()).toHaveLength(2);
});

test("a verified peer's word that a hop further on was retried in vain is noted, and reaches no caller", async () => {
  await using server = await serveReviews((_request, response) => {
    response.writeHead(503, { "tulle-retried": "1" }).end();
  });
  const { caller } = await callerOf(server);
  await using _ = caller;
  const { attempt, reply } = caller.begin();
  const got = await reply;
  got.discard();
  expect(attempt).toMatchObject({ progress: "answered", retriedBelow: true });
  expect(Object.keys(got.headers)).not.toContain("tulle-retried");
});

describe("one-sided TLS", () => {
  const serveTls = async (options: TestSvidOptions) => {
    const { privateKey, certificateChain } = await mesh.issue(options);
    return TestServer.https(
      { key: privateKey, cert: certificateChain },
      (_request, response) => void response.end("ok"),
    );
  };

  test("checks the host's name against the roots of the outside", async () => {
    await using server = await serveTls({ uris: [], dnsNames: ["localhost"] });
    const endpoint = server.endpoint({ transport: "tls", address: "localhost" });
    await using caller = new TestCaller([endpoint], { outsideRoots: [mesh.root] });
    expect(await caller.text({ authority: "outside.example" })).toBe("ok");
  });

  test("refuses a host of another name", async () => {
    await using server = await serveTls({ uris: [], dnsNames: ["other.example"] });
    const endpoint = server.endpoint({ transport: "tls", address: "localhost" });
    await using caller = new TestCaller([endpoint], { outsideRoots: [mesh.root] });
    await expect(caller.begin().reply).rejects.toMatchObject({ code: "IDENTITY_MISMATCH" });
  });
});

test("no call that begins after the first reply that says so goes to a draining endpoint, and those under way end well", async () => {
  let drains = false;
  const arrived = { leaving: 0, staying: 0 };
  const held: ServerResponse[] = [];
  await using leaving = await serveReviews((_request, response) => {
    arrived.leaving++;
    if (drains) response.setHeader("tulle-drain", "1").end("leaving");
    else held.push(response);
  });
  await using staying = await serveReviews((_request, response) => {
    arrived.staying++;
    response.end("staying");
  });
  const endpoints = [leaving, staying].map((server) => server.endpoint({ transport: "mtls" }));
  await using client = clientOf(
    snapshotOf({ reviews: { endpoints, policy: { balancer: { algorithm: "round-robin" } } } }),
    { credentials: new Watchable<Credentials | undefined>(await mesh.issue({ serviceAccount: "productpage" })) },
  );
  const call = async (): Promise<string> => (await client.request("http://reviews/")).body.text();
  const underWay = Array.from({ length: 20 }, call);
  await vi.waitFor(() => expect(arrived).toEqual({ leaving: 10, staying: 10 }));
  drains = true;
  const heard = [await call(), await call()];
  expect(heard.toSorted()).toEqual(["leaving", "staying"]);
  const before = arrived.leaving;
  expect(new Set(await Promise.all(Array.from({ length: 50 }, call)))).toEqual(new Set(["staying"]));
  expect(arrived.leaving).toBe(before);
  for (const response of held) response.end("leaving");
  expect((await Promise.all(underWay)).filter((text) => text === "leaving")).toHaveLength(10);
});
