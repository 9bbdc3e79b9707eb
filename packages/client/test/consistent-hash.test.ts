import { expect, test } from "vitest";
import { clientOf, serveAll, snapshotOf } from "./mesh-of-servers.ts";

test.each(["ring-hash", "maglev"] as const)(
  "%s keeps each user with one instance, and spreads the users",
  async (algorithm) => {
    await using fleet = await serveAll(3, () => (request, response) => {
      response.end(String(request.socket.localPort));
    });
    const { endpoints } = fleet;
    const policy = { balancer: { algorithm }, hashKey: [{ cookie: "user" }] } as const;
    await using client = clientOf(snapshotOf({ reviews: { endpoints, policy } }));
    // A second client, which was told of the endpoints in another order.
    await using other = clientOf(snapshotOf({ reviews: { endpoints: endpoints.toReversed(), policy } }));
    const askedBy = async (user: string, by = client): Promise<string> =>
      (await by.request("http://reviews/", { headers: { cookie: `theme=dark; user=${user}` } })).body.text();

    const homes = new Map<string, string>();
    for (let user = 0; user < 30; user++) homes.set(`user-${user}`, await askedBy(`user-${user}`));
    for (const [user, home] of homes) {
      expect(await askedBy(user)).toBe(home);
      expect(await askedBy(user, other)).toBe(home);
    }
    expect(new Set(homes.values()).size).toBe(3);
  },
);
