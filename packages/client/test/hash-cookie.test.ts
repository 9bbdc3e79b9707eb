import type { ServicePolicy } from "@tulle/policy";
import { expect, test } from "vitest";
import { clientOf, serveAll, snapshotOf } from "./mesh-of-servers.ts";

const setup = async (policy: Partial<ServicePolicy>) => {
  const fleet = await serveAll(5, () => (request, response) => {
    response.setHeader("set-cookie", "app=1");
    response.end(JSON.stringify({ port: request.socket.localPort, cookie: request.headers.cookie }));
  });
  const client = clientOf(snapshotOf({ reviews: { endpoints: fleet.endpoints, policy } }));
  const running: AsyncDisposable = {
    [Symbol.asyncDispose]: async () => {
      await client.close();
      await fleet[Symbol.asyncDispose]();
    },
  };
  const ask = async (cookie?: string) => {
    const response = await client.fetch("http://reviews/", cookie === undefined ? {} : { headers: { cookie } });
    const { port, cookie: seen } = (await response.json()) as { port: number; cookie?: string };
    return { port, seen, set: response.headers.getSetCookie() };
  };
  return { running, ask, client };
};

test.each(["ring-hash", "maglev"] as const)(
  "with %s a caller without the cookie is given one, and stays with its instance by it",
  async (algorithm) => {
    const { running, ask } = await setup({
      balancer: { algorithm },
      hashKey: [{ cookie: "sid", ttl: "1h", path: "/shop" }],
    });
    await using _ = running;
    const homes = new Set<number>();
    for (let caller = 0; caller < 20; caller++) {
      const first = await ask();
      expect(first.seen).toBeUndefined();
      expect(first.set).toEqual([
        "app=1",
        expect.stringMatching(/^sid=[0-9a-f]{16}; Path=\/shop; Max-Age=3600; HttpOnly$/),
      ]);
      const cookie = first.set[1]?.split(";")[0] ?? "";
      const again = await ask(cookie);
      expect(again).toEqual({ port: first.port, seen: cookie, set: ["app=1"] });
      homes.add(first.port);
    }
    expect(homes.size).toBeGreaterThan(1);
  },
);

test("a ttl of 0s gives a cookie for as long as the browser is open", async () => {
  const { running, ask } = await setup({
    balancer: { algorithm: "ring-hash" },
    hashKey: [{ cookie: "sid", ttl: "0s" }],
  });
  await using _ = running;
  expect((await ask()).set[1]).toMatch(/^sid=[0-9a-f]{16}; Path=\/; HttpOnly$/);
});

test("no cookie is given without a ttl, nor where the balancer looks at no key; it is no step of the chain then", async () => {
  for (const policy of [
    { balancer: { algorithm: "ring-hash" }, hashKey: [{ cookie: "sid" }] },
    { balancer: { algorithm: "round-robin" }, hashKey: [{ cookie: "sid", ttl: "1h" }] },
  ] as const) {
    const { running, ask, client } = await setup(policy);
    await using _ = running;
    expect((await ask()).set).toEqual(["app=1"]);
    expect(client.describeChain("default/reviews")).not.toContain("hash cookie");
  }
});
