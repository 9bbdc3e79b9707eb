import type { Endpoint, RouteRule, SessionAffinity } from "@tulle/policy";
import { Watchable } from "@tulle/time";
import { expect, test } from "vitest";
import { clientOf, serveAll, snapshotOf } from "./mesh-of-servers.ts";

/** Five instances, of which the first two carry v1, under a rule with this affinity. */
const setup = async (sessionAffinity: SessionAffinity, more: Partial<RouteRule> = {}) => {
  let failing = 0;
  const fleet = await serveAll(5, () => (request, response) => {
    const port = request.socket.localPort;
    response.statusCode = port === failing ? 503 : 200;
    response.end(String(port));
  });
  const [a, b, ...rest] = fleet.endpoints.map((endpoint, place) => ({
    ...endpoint,
    labels: { version: place < 2 ? "v1" : "v2" },
  }));
  const all: readonly Endpoint[] = [a!, b!, ...rest];
  const under = (endpoints: readonly Endpoint[]) =>
    snapshotOf({
      reviews: {
        endpoints,
        policy: { subsets: { v1: { version: "v1" }, v2: { version: "v2" } } },
        routes: [
          { kind: "Route", name: "reviews", services: ["reviews"], rules: [{ name: "all", sessionAffinity, ...more }] },
        ],
      },
    });
  const outbound = new Watchable(under(all));
  const client = clientOf(outbound);
  const running: AsyncDisposable = {
    [Symbol.asyncDispose]: async () => {
      await client.close();
      await fleet[Symbol.asyncDispose]();
    },
  };
  const ask = async (session?: string) => {
    const response = await client.fetch(
      "http://reviews/",
      session === undefined ? {} : { headers: { cookie: session } },
    );
    const text = await response.text();
    return {
      status: response.status,
      port: Number(text),
      session: response.headers.getSetCookie()[0]?.split(";")[0],
    };
  };
  return {
    running,
    ask,
    client,
    all,
    /** Says how the registry sees the endpoint at this port; `undefined`: it has left. */
    changes: (port: number, health: Endpoint["health"] | undefined) =>
      outbound.set(
        under(
          all.flatMap((endpoint) => {
            if (endpoint.port !== port) return [endpoint];
            return health === undefined ? [] : [{ ...endpoint, health }];
          }),
        ),
      ),
    fails: (port: number) => {
      failing = port;
    },
  };
};

test("a session stays with the endpoint that answered its first call, whichever that is, and is told once", async () => {
  const { running, ask } = await setup({ cookie: {}, endpoint: {} });
  await using _ = running;
  const homes = new Set<number>();
  for (let caller = 0; caller < 20; caller++) {
    const { port, session } = await ask();
    expect(session).toMatch(/^tulle-session=1\.[0-9a-f]{16}\.[0-9a-z]+\.[0-9a-f]{16}$/);
    homes.add(port);
    for (let call = 0; call < 5; call++) expect(await ask(session)).toMatchObject({ port, session: undefined });
  }
  expect(homes.size).toBeGreaterThan(1);
});

test("newcomers move no session", async () => {
  const { running, ask, all, changes } = await setup({ cookie: {}, endpoint: {} });
  await using _ = running;
  changes(all[4]!.port, undefined);
  const begun = await Promise.all(Array.from({ length: 20 }, () => ask()));
  changes(all[4]!.port, "healthy");
  for (const { port, session } of begun) expect((await ask(session)).port).toBe(port);
});

test.each(["draining", "unhealthy", undefined] as const)(
  "a session whose endpoint is %s goes on with another one, and the reply says with whom",
  async (health) => {
    const { running, ask, changes } = await setup({ cookie: {}, endpoint: {} });
    await using _ = running;
    const first = await ask();
    changes(first.port, health);
    const moved = await ask(first.session);
    expect(moved.status).toBe(200);
    expect(moved.port).not.toBe(first.port);
    expect(moved.session).toBeDefined();
    changes(first.port, "healthy");
    for (let call = 0; call < 10; call++) expect((await ask(moved.session)).port).toBe(moved.port);
  },
);

test("where the policy says so sessions stay with an endpoint that drains, and no new one begins there", async () => {
  const { running, ask, changes } = await setup({ cookie: {}, endpoint: { states: ["healthy", "draining"] } });
  await using _ = running;
  const { port, session } = await ask();
  changes(port, "draining");
  for (let call = 0; call < 10; call++) {
    expect((await ask(session)).port).toBe(port);
    expect((await ask()).port).not.toBe(port);
  }
});

test("a strict session fails while its endpoint may not be called, and goes on when it is back", async () => {
  const { running, ask, changes } = await setup({ cookie: {}, endpoint: { strict: true } });
  await using _ = running;
  const { port, session } = await ask();
  changes(port, "unhealthy");
  await expect(ask(session)).rejects.toMatchObject({
    code: "NO_HEALTHY_ENDPOINT",
    message: expect.stringContaining("the endpoint of the call's session has left, or may not be called"),
  });
  expect((await ask()).status).toBe(200);
  changes(port, "healthy");
  expect((await ask(session)).port).toBe(port);
});

test("a retry goes elsewhere and takes the session along, but not where the policy is strict", async () => {
  const retry: RouteRule["retry"] = { retries: 2, backoff: { base: "1ms", max: "1ms" } };
  {
    const { running, ask, fails } = await setup({ cookie: {}, endpoint: {} }, { retry });
    await using _ = running;
    const first = await ask();
    fails(first.port);
    const moved = await ask(first.session);
    expect([moved.status, moved.port === first.port]).toEqual([200, false]);
    expect((await ask(moved.session)).port).toBe(moved.port);
  }
  const { running, ask, fails } = await setup({ cookie: {}, endpoint: { strict: true } }, { retry });
  await using _ = running;
  const first = await ask();
  fails(first.port);
  expect(await ask(first.session)).toMatchObject({ status: 503, port: first.port, session: undefined });
});

test("across weighted destinations a session stays with its version and with its endpoint", async () => {
  const split = [
    { subset: "v1", weight: 50 },
    { subset: "v2", weight: 50 },
  ];
  const { running, ask, all, changes } = await setup({ cookie: {}, endpoint: {} }, { split });
  await using _ = running;
  const versionOf = (port: number) => all.find((endpoint) => endpoint.port === port)?.labels.version;
  const met = new Set<string | undefined>();
  for (let caller = 0; caller < 20; caller++) {
    const first = await ask();
    met.add(versionOf(first.port));
    expect((await ask(first.session)).port).toBe(first.port);
    changes(first.port, "draining");
    const moved = await ask(first.session);
    expect([moved.port === first.port, versionOf(moved.port)]).toEqual([false, versionOf(first.port)]);
    changes(first.port, "healthy");
  }
  expect(met).toEqual(new Set(["v1", "v2"]));
});

test("an explanation tells with whom a call's session stays, and what becomes of it when that is gone", async () => {
  const { running, ask, client, changes } = await setup({ cookie: {}, endpoint: { strict: true } });
  await using _ = running;
  const { port, session = "" } = await ask();
  const explained = () => client.explain("http://reviews/", { headers: { cookie: session } });
  expect(explained().destinations[0]?.session).toEqual({ endpoint: `reviews-${port}`, strict: true });
  expect(explained().toString()).toContain(`its session stays with reviews-${port}`);
  changes(port, undefined);
  expect(explained().destinations[0]?.session).toEqual({ endpoint: undefined, strict: true });
  expect(explained().toString()).toContain("the endpoint of its session may not be called: it fails");
  expect(client.explain("http://reviews/").destinations[0]?.session).toBeUndefined();
});

test("a session told by a header, and a value of ours without an endpoint, are gone on with", async () => {
  const { running, client } = await setup({ header: "x-session", endpoint: {} });
  await using _ = running;
  const ask = async (session?: string) => {
    const response = await client.fetch("http://reviews/", {
      headers: session === undefined ? {} : { "x-session": session },
    });
    return { port: await response.text(), session: response.headers.get("x-session") };
  };
  const { session } = await ask();
  const older = await ask(session?.split(".").slice(0, 3).join("."));
  expect(older.session).toMatch(/^1\.[0-9a-f]{16}\.[0-9a-z]+\.[0-9a-f]{16}$/);
  expect((await ask(older.session ?? "")).port).toBe(older.port);
});
