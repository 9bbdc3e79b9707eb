import { expect, test } from "vitest";
import { clientOf, type RunningServer, serve, snapshotOf } from "./mesh-of-servers.ts";

const fleet = async (count: number): Promise<readonly RunningServer[]> =>
  Promise.all(
    Array.from({ length: count }, () =>
      serve((request, response) => {
        response.end(String(request.socket.localPort));
      }),
    ),
  );

test.each(["ring-hash", "maglev"] as const)(
  "%s keeps each user with one instance, and spreads the users",
  async (algorithm) => {
    const servers = await fleet(3);
    await using stack = new AsyncDisposableStack();
    for (const server of servers) stack.use(server);
    const endpoints = servers.map(({ endpoint }) => endpoint);
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
