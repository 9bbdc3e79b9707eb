import { createServer } from "node:http";
import https from "node:https";
import { createTestAuthority, type TestSvidOptions } from "@tulle/testing";
import { afterEach, expect, test } from "vitest";
import { createMesh, type FixedMesh, type GivenCredentials } from "../src/create-mesh.ts";

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]();
});

const ours = await createTestAuthority("cluster.local");
const theirs = await createTestAuthority("elsewhere.example");
const impostor = await createTestAuthority("cluster.local");

/** A member of reviews that only productpage may call; counts what its handler saw. */
const reviews = async (): Promise<{ readonly mesh: FixedMesh; readonly port: number; handled(): number }> => {
  let handled = 0;
  const mesh = createMesh({
    policies: [
      {
        kind: "Access",
        name: "callers",
        selector: { service: "reviews" },
        rules: [{ from: [{ principals: ["cluster.local/ns/default/sa/productpage"] }] }],
      },
    ],
    endpoints: { reviews: [] },
    service: "reviews",
    credentials: await ours.issue({ serviceAccount: "reviews" }),
  });
  open.push(mesh);
  const app = createServer((_request, response) => {
    handled += 1;
    response.end("a review");
  });
  const { port } = await mesh.listen(app, { port: 0, host: "127.0.0.1", signals: false });
  return { mesh, port, handled: () => handled };
};

const caller = (port: number, credentials: GivenCredentials): FixedMesh => {
  const mesh = createMesh({
    policies: [],
    endpoints: { reviews: [`127.0.0.1:${port}`] },
    service: "productpage",
    credentials,
  });
  open.push(mesh);
  return mesh;
};

const productpage: TestSvidOptions = { serviceAccount: "productpage" };

test("the allowed caller is served: the refusals below are not the server's general mood", async () => {
  const server = await reviews();
  const mesh = caller(server.port, await ours.issue(productpage));
  expect(await (await mesh.fetch("http://reviews/7")).text()).toBe("a review");
  expect(server.handled()).toBe(1);
});

test.each([
  [
    "that no root of ours vouches for",
    "PEER_UNTRUSTED",
    () => impostor.issue({ ...productpage, bundles: [ours.bundle] }),
  ],
  ["that is expired", "PEER_EXPIRED", () => ours.issue({ ...productpage, expired: true })],
])(
  "a certificate %s is refused: the server counts %s, the caller sees a closed connection and is told what it may mean",
  async (_which, code, issue) => {
    const server = await reviews();
    const mesh = caller(server.port, await issue());
    await expect(mesh.fetch("http://reviews/7")).rejects.toMatchObject({
      code: expect.stringMatching(/^CONNECTION_TERMINATED$|^CONNECT_FAILED$/),
      message: expect.stringContaining("refused our certificate"),
    });
    expect(server.mesh.status.counters.server[`refused.${code}`]).toBeGreaterThan(0);
    expect(server.handled()).toBe(0);
  },
);

test.each([
  ["of another trust domain", "PEER_UNTRUSTED", () => theirs.issue(productpage)],
  ["none at all", "PEER_ABSENT", () => Promise.resolve(undefined)],
])(
  "a client that is no mesh, with a certificate %s: the connection is closed and counted as %s",
  async (_which, code, issue) => {
    const server = await reviews();
    const shown = await issue();
    const identity = shown === undefined ? {} : { cert: shown.certificateChain, key: shown.privateKey };
    const answered = new Promise((resolve, reject) => {
      const sent = https.request(
        { host: "127.0.0.1", port: server.port, path: "/7", rejectUnauthorized: false, agent: false, ...identity },
        resolve,
      );
      sent.on("error", reject);
      sent.end();
    });
    await expect(answered).rejects.toMatchObject({ code: expect.stringMatching(/^ECONNRESET$|^EPIPE$|^ERR_SSL_/) });
    await expect.poll(() => server.mesh.status.counters.server[`refused.${code}`]).toBe(1);
    expect(server.handled()).toBe(0);
  },
);

test("plaintext is refused and counted as PLAINTEXT_REFUSED", async () => {
  const server = await reviews();
  await expect(fetch(`http://127.0.0.1:${server.port}/7`)).rejects.toThrow("fetch failed");
  expect(server.mesh.status.counters.server["refused.PLAINTEXT_REFUSED"]).toBeGreaterThan(0);
  expect(server.handled()).toBe(0);
});

test("the right certificate of a service that Access does not allow gets 403 with the policy's name", async () => {
  const server = await reviews();
  const mesh = caller(server.port, await ours.issue({ serviceAccount: "details" }));
  const response = await mesh.fetch("http://reviews/7");
  expect(response.status).toBe(403);
  expect(await response.json()).toMatchObject({ code: "ACCESS_DENIED", message: expect.stringContaining("callers") });
  expect(server.mesh.status.counters.server["refused.ACCESS_DENIED"]).toBe(1);
  expect(server.handled()).toBe(0);
});
