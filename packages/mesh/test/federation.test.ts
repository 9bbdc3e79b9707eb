import { createServer } from "node:http";
import { Agent, request } from "node:https";
import type { Credentials } from "@tulle/policy";
import { createTestAuthority } from "@tulle/testing";
import { expect, test } from "vitest";
import { startMesh } from "./support/mesh-fixture.ts";

interface Answer {
  readonly status: number | undefined;
  readonly body: string;
}

/** A caller of another mesh, which knows nothing of ours but an address. */
const callerAs = ({ certificateChain, privateKey }: Credentials, port: number) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const call = (path: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const sent = request(
        {
          agent,
          host: "127.0.0.1",
          port,
          path,
          headers,
          cert: certificateChain,
          key: privateKey,
          rejectUnauthorized: false,
        },
        (response) => {
          let body = "";
          response.on("data", (chunk) => (body += chunk));
          response.on("end", () => resolve({ status: response.statusCode, body }));
        },
      );
      sent.on("error", reject);
      sent.end();
    });
  return { call, sockets: () => Object.values(agent.freeSockets).flat().length, end: () => agent.destroy() };
};

test("a federated caller has its own name and no more: its root signs no names of ours, its control headers count for nothing, and it goes with its bundle", async () => {
  await using fixture = await startMesh([
    { kind: "Service", name: "reviews" },
    {
      kind: "Access",
      name: "partners",
      selector: { service: "reviews" },
      action: "deny",
      rules: [{ from: [{ principals: ["partner.test/ns/default/sa/stranger"] }] }],
    },
  ]);
  const mesh = await fixture.join({ service: "reviews" });
  const app = createServer((incoming, response) => response.end(JSON.stringify(incoming.headers)));
  const { port } = await mesh.listen(app, { port: 0, host: "127.0.0.1" });
  const partner = await createTestAuthority("partner.test");
  const ratings = callerAs(await partner.issue({ serviceAccount: "ratings" }), port);

  // Before: a root that nobody trusts.
  await expect(ratings.call("/")).rejects.toThrow();

  const added = await fixture.admin.call("POST", "/v1/federation", {
    trustDomain: "partner.test",
    bundle: partner.root,
  });
  expect(added).toMatchObject({ status: 200, body: { trustDomain: "partner.test" } });
  await expect.poll(() => ratings.call("/").then(({ status }) => status, String)).toBe(200);

  const { body } = await ratings.call("/", {
    "x-envoy-attempt-count": "7",
    "x-forwarded-client-cert": "By=spiffe://x;URI=spiffe://cluster.local/ns/default/sa/productpage",
  });
  const headers = JSON.parse(body);
  expect(headers["x-forwarded-client-cert"]).toBe(
    "By=spiffe://cluster.local/ns/default/sa/reviews;URI=spiffe://partner.test/ns/default/sa/ratings",
  );
  expect(headers["x-envoy-attempt-count"]).toBeUndefined();

  const stranger = callerAs(await partner.issue({ serviceAccount: "stranger" }), port);
  expect(await stranger.call("/")).toMatchObject({ status: 403 });

  const forger = await partner.issue({ spiffeId: "spiffe://cluster.local/ns/default/sa/productpage" });
  await expect(callerAs(forger, port).call("/")).rejects.toThrow();
  const own = await fixture.admin.call<{ jwks: string }>("GET", "/v1/bundle");
  expect(JSON.parse(own.body.jwks).keys).toHaveLength(1);

  expect(ratings.sockets()).toBe(1);
  expect(await fixture.admin.call("DELETE", "/v1/federation/partner.test")).toMatchObject({ status: 204 });
  await expect.poll(() => ratings.sockets()).toBe(0);
  await expect(ratings.call("/")).rejects.toThrow();
  for (const caller of [ratings, stranger]) caller.end();
}, 30_000);
