import https from "node:https";
import { externalService, mesh, type Policy, route, service } from "@tulle/policy";
import { createTestAuthority, type TestAuthority } from "@tulle/testing";
import { constant, Watchable } from "@tulle/time";
import { beforeAll, describe, expect, test, vi } from "vitest";
import type { HealthChange } from "../src/health/health-checker.ts";
import { undici } from "../src/transport/undici.ts";
import { clientOf, serve } from "./mesh-of-servers.ts";
import { type OutsideServer, outsideServer, ScriptedResolver, snapshotOfPolicies } from "./outside-kit.ts";

let authority: TestAuthority;
beforeAll(async () => {
  authority = await createTestAuthority("outside.example");
});

/** An external service at a server on loopback, found by DNS. */
const paymentsAt = ({ port }: OutsideServer, tls: object = {}): Policy =>
  externalService("payments", "api.payments.example", { port, tls: { ca: authority.root, ...tls } });

const resolverFor = (...names: readonly string[]): ScriptedResolver => {
  const resolver = new ScriptedResolver();
  for (const name of names) resolver.answers.set(name, [{ address: "127.0.0.1", ttlMs: 60_000 }]);
  return resolver;
};

describe("a service outside the mesh", () => {
  test("is found by DNS and called over TLS: the server is asked by the host's name, with the user's roots", async () => {
    await using server = await outsideServer(authority, ["api.payments.example"]);
    const resolver = resolverFor("api.payments.example");
    await using client = clientOf(snapshotOfPolicies([paymentsAt(server)]), { resolver });
    const response = await client.fetch(`https://api.payments.example:${server.port}/charge?n=1`);
    expect(await response.text()).toBe("api.payments.example");
    expect(response.url).toBe(`https://api.payments.example:${server.port}/charge?n=1`);
    expect(server.seen).toEqual([
      {
        host: `api.payments.example:${server.port}`,
        sni: "api.payments.example",
        url: "/charge?n=1",
        client: undefined,
      },
    ]);
    expect(resolver.asked).toEqual(["A api.payments.example"]);
  });

  test("gets TLS although the URL says http, on the port of the scheme or of the policy", async () => {
    await using server = await outsideServer(authority, ["api.payments.example"]);
    await using client = clientOf(snapshotOfPolicies([paymentsAt(server)]), {
      resolver: resolverFor("api.payments.example"),
    });
    for (const url of ["http://api.payments.example/", `http://api.payments.example:${server.port}/`]) {
      expect((await client.fetch(url)).status).toBe(200);
    }
    expect(server.seen.map(({ sni }) => sni)).toEqual(["api.payments.example", "api.payments.example"]);
  });

  test("is called through undici's functions and the built-in fetch as well", async () => {
    await using server = await outsideServer(authority, ["api.payments.example"]);
    await using client = clientOf(snapshotOfPolicies([paymentsAt(server)]), {
      resolver: resolverFor("api.payments.example"),
    });
    const url = `https://api.payments.example:${server.port}/`;
    const { body } = await client.request(url);
    expect(await body.text()).toBe("api.payments.example");
    expect(await (await undici.request(url, { dispatcher: client.dispatcher })).body.text()).toBe(
      "api.payments.example",
    );
    client.install();
    try {
      expect(await (await fetch(url)).text()).toBe("api.payments.example");
    } finally {
      client.uninstall();
    }
    expect(server.seen.map(({ sni }) => sni)).toEqual(Array(3).fill("api.payments.example"));
  });

  test("is called through the agent for node:https as well", async () => {
    await using server = await outsideServer(authority, ["api.payments.example"]);
    await using client = clientOf(snapshotOfPolicies([paymentsAt(server)]), {
      resolver: resolverFor("api.payments.example"),
    });
    const answer = await new Promise<string>((resolve, reject) => {
      https
        .get(`https://api.payments.example:${server.port}/x`, { agent: client.agent }, (response) => {
          response.setEncoding("utf8").on("data", resolve);
        })
        .on("error", reject);
    });
    expect(answer).toBe("api.payments.example");
    expect(server.seen).toMatchObject([{ sni: "api.payments.example", url: "/x" }]);
  });

  test("keeps one connection, and asks DNS once, for many calls", async () => {
    await using server = await outsideServer(authority, ["api.payments.example"]);
    const resolver = resolverFor("api.payments.example");
    await using client = clientOf(snapshotOfPolicies([paymentsAt(server)]), { resolver });
    for (let n = 0; n < 20; n++) {
      await (await client.fetch(`https://api.payments.example:${server.port}/`)).text();
    }
    expect({ handshakes: server.handshakes, asked: resolver.asked.length, ...client.counters() }).toMatchObject({
      handshakes: 1,
      asked: 1,
      dnsQueries: 1,
      dnsWaits: 1,
    });
  });

  test.each<[string, (port: number) => object, string]>([
    ["that leads to other roots", () => ({ ca: undefined }), "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
    ["that holds another name", () => ({ sni: "other.example" }), "ERR_TLS_CERT_ALTNAME_INVALID"],
    [
      "that holds none of the names that the policy wants",
      () => ({ subjectAltNames: ["a.example", "spiffe://outside.example/x"] }),
      "ERR_TLS_CERT_ALTNAME_INVALID",
    ],
  ])("with a certificate %s is refused as IDENTITY_MISMATCH", async (_, tls, reason) => {
    await using server = await outsideServer(authority, ["api.payments.example"]);
    const policy = paymentsAt(server, tls(server.port));
    // Left out as a user would: undefined is no value of a policy.
    const clean: Policy = JSON.parse(JSON.stringify(policy));
    await using client = clientOf(snapshotOfPolicies([clean]), { resolver: resolverFor("api.payments.example") });
    await expect(
      client.fetch(`https://api.payments.example:${server.port}/`, { mesh: { retry: false } }),
    ).rejects.toMatchObject({ code: "IDENTITY_MISMATCH", message: expect.stringContaining(reason) });
    expect(server.seen).toEqual([]);
  });

  test("may prove one of the policy's names instead of the host's, a URI among them", async () => {
    await using server = await outsideServer(authority, ["gateway.example"], { uris: ["spiffe://outside.example/gw"] });
    const tls = { subjectAltNames: ["spiffe://outside.example/gw"] };
    await using client = clientOf(snapshotOfPolicies([paymentsAt(server, tls)]), {
      resolver: resolverFor("api.payments.example"),
    });
    expect((await client.fetch(`https://api.payments.example:${server.port}/`)).status).toBe(200);
  });

  test("is shown the member's certificate where TLS is mutual", async () => {
    const own = await createTestAuthority();
    const credentials = await own.issue({ serviceAccount: "productpage" });
    await using server = await outsideServer(authority, ["api.payments.example"], { clientRoot: own.root });
    await using client = clientOf(snapshotOfPolicies([paymentsAt(server, { mode: "mutual" })]), {
      resolver: resolverFor("api.payments.example"),
      credentials: constant(credentials),
    });
    expect((await client.fetch(`https://api.payments.example:${server.port}/`)).status).toBe(200);
    expect(server.seen[0]?.client).toBe(`URI:${credentials.spiffeId}`);
  });

  test("tells its hosts apart: each has its own addresses and its own name in TLS", async () => {
    await using one = await outsideServer(authority, ["one.example", "two.example"]);
    const resolver = new ScriptedResolver();
    resolver.answers.set("one.example", [{ address: "127.0.0.1", ttlMs: 60_000 }]);
    resolver.answers.set("two.example", "ENOTFOUND");
    const both = externalService("both", ["one.example", "two.example"], {
      port: one.port,
      tls: { ca: authority.root },
    });
    await using client = clientOf(snapshotOfPolicies([both]), { resolver });
    expect((await client.fetch(`https://one.example:${one.port}/`)).status).toBe(200);
    await expect(client.fetch(`https://two.example:${one.port}/`)).rejects.toMatchObject({ code: "DNS_FAILED" });
    expect(one.seen.map(({ sni }) => sni)).toEqual(["one.example"]);
  });

  test("with static addresses asks no DNS, and goes to the next address when one is dead", async () => {
    await using server = await outsideServer(authority, ["api.payments.example"]);
    const resolver = new ScriptedResolver();
    const policy = externalService("payments", "api.payments.example", {
      resolution: "static",
      addresses: ["127.0.0.1:1", `127.0.0.1:${server.port}`],
      tls: { ca: authority.root },
    });
    await using client = clientOf(snapshotOfPolicies([policy]), { resolver });
    for (let n = 0; n < 10; n++) {
      expect((await client.fetch("https://api.payments.example/", { method: "POST", body: "x" })).status).toBe(200);
    }
    expect(resolver.asked).toEqual([]);
  });

  test("is asked how it is by its host's name, at each address", async () => {
    const asked = new Map<string, string[]>();
    const address = (name: string, status: number) =>
      serve((request, response) => {
        asked.set(name, [...(asked.get(name) ?? []), `${request.url} ${request.headers.host}`]);
        response.statusCode = request.url === "/healthz" ? status : 200;
        response.end(name);
      });
    await using well = await address("well", 200);
    await using ill = await address("ill", 500);
    const policy = externalService("api", "api.example", {
      resolution: "static",
      addresses: [well, ill].map(({ endpoint: { port } }) => `127.0.0.1:${port}`),
      tls: { mode: "disable" },
      healthCheck: { http: { path: "/healthz" } },
    });
    const told: HealthChange[] = [];
    await using client = clientOf(snapshotOfPolicies([policy]), {
      resolver: new ScriptedResolver(),
      onHealth: (_service, change) => told.push(change),
    });
    const ask = async () => (await client.fetch("http://api.example/")).text();
    await ask();
    await vi.waitFor(() => expect(told.map(({ to }) => to).sort()).toEqual(["healthy", "unhealthy"]));
    for (let call = 0; call < 10; call++) expect(await ask()).toBe("well");
    expect(asked.get("ill")?.[0]).toBe("/healthz api.example");
  });

  test("in plaintext is called in plaintext, and refuses URLs that ask for TLS", async () => {
    await using server = await serve((request, response) => response.end(request.headers.host));
    const { port } = server.endpoint;
    const policy = externalService("plain", "plain.example", { port, tls: { mode: "disable" } });
    await using client = clientOf(snapshotOfPolicies([policy]), { resolver: resolverFor("plain.example") });
    expect(await (await client.fetch(`http://plain.example:${port}/`)).text()).toBe(`plain.example:${port}`);
    await expect(client.fetch(`https://plain.example:${port}/`)).rejects.toMatchObject({ code: "UNKNOWN_SERVICE" });
    await expect(client.fetch("http://plain.example/")).rejects.toMatchObject({ code: "UNKNOWN_SERVICE" });
  });

  test("has routes: a rule's retries, and a split from a service of the mesh, sent under the outside host", async () => {
    let failures = 1;
    await using flaky = await serve((request, response) => {
      response.statusCode = failures-- > 0 ? 503 : 200;
      response.end(request.headers.host);
    });
    const { port } = flaky.endpoint;
    const outside = externalService("outside", "out.example", { port, tls: { mode: "disable" } });
    const inside = service("inside");
    const policies: Policy[] = [
      outside,
      inside,
      route(outside).toAll({ retry: { on: ["gateway-error"], retries: 2 } }),
      route(inside).to(outside),
    ];
    await using client = clientOf(snapshotOfPolicies(policies), { resolver: resolverFor("out.example") });
    expect((await client.fetch(`http://out.example:${port}/`)).status).toBe(200);
    expect(await (await client.fetch("http://inside/")).text()).toBe(`out.example:${port}`);
  });

  test("is sent the host that a rule wrote, and is still asked in TLS by its own", async () => {
    await using server = await outsideServer(authority, ["one.example"]);
    const outside = externalService("outside", ["one.example", "two.example"], {
      port: server.port,
      tls: { ca: authority.root },
    });
    const inside = service("inside");
    const policies = [outside, inside, route(inside).to(outside, { rewrite: { host: "tenant.example" } })];
    await using client = clientOf(snapshotOfPolicies(policies), { resolver: resolverFor("one.example") });
    expect((await client.fetch("http://inside/")).status).toBe(200);
    expect(server.seen).toMatchObject([{ host: "tenant.example", sni: "one.example" }]);
  });

  test("that DNS does not know fails as DNS_FAILED, with the resolver's code, and is not asked for again at once", async () => {
    const resolver = new ScriptedResolver();
    await using client = clientOf(snapshotOfPolicies([externalService("gone", "gone.example")]), { resolver });
    for (let n = 0; n < 3; n++) {
      await expect(client.fetch("https://gone.example/")).rejects.toMatchObject({
        code: "DNS_FAILED",
        flag: "DF",
        status: 503,
        message: expect.stringContaining("no address of gone.example is known (ENOTFOUND)"),
        cause: { code: "ENOTFOUND" },
      });
    }
    expect(resolver.asked).toEqual(["A gone.example", "lookup gone.example"]);
  });

  test("is not waited for longer than its connect timeout, nor than the call's deadline, nor than the caller wants", async () => {
    const resolver = new ScriptedResolver();
    resolver.answers.set("slow.example", undefined);
    const policy = externalService("slow", "slow.example", { connectionPool: { connectTimeout: "30ms" } });
    await using client = clientOf(snapshotOfPolicies([policy]), { resolver });
    await expect(client.fetch("https://slow.example/")).rejects.toMatchObject({
      code: "DNS_FAILED",
      message: expect.stringContaining("no answer within 30 ms"),
    });
    await expect(client.fetch("https://slow.example/", { mesh: { timeout: 10 } })).rejects.toMatchObject({
      code: "DEADLINE_EXCEEDED",
    });
    const abort = new AbortController();
    const given = client.fetch("https://slow.example/", { signal: abort.signal });
    abort.abort(new Error("enough"));
    await expect(given).rejects.toThrow("enough");
    expect(resolver.asked).toEqual(["A slow.example"]);
  });

  test("changes its roots without a restart: the next connection is checked by the new ones", async () => {
    const other = await createTestAuthority("other.example");
    await using server = await outsideServer(authority, ["api.payments.example"]);
    const outbound = new Watchable(snapshotOfPolicies([paymentsAt(server)]));
    await using client = clientOf(outbound, { resolver: resolverFor("api.payments.example") });
    const url = `https://api.payments.example:${server.port}/`;
    expect((await client.fetch(url)).status).toBe(200);
    outbound.set(snapshotOfPolicies([paymentsAt(server, { ca: other.root })]));
    await expect(client.fetch(url)).rejects.toMatchObject({ code: "IDENTITY_MISMATCH" });
    outbound.set(snapshotOfPolicies([paymentsAt(server)]));
    expect((await client.fetch(url)).status).toBe(200);
  });
});

describe("registry-only", () => {
  const only = mesh({ outbound: "registry-only" });

  test("lets hosts of external services through, and refuses the rest with names that resemble it", async () => {
    await using server = await outsideServer(authority, ["api.payments.example"]);
    await using client = clientOf(snapshotOfPolicies([only, paymentsAt(server)]), {
      resolver: resolverFor("api.payments.example"),
    });
    expect((await client.fetch(`https://api.payments.example:${server.port}/`)).status).toBe(200);
    await expect(client.fetch("https://api.payment.example/")).rejects.toMatchObject({
      code: "OUTSIDE_REFUSED",
      message: expect.stringContaining("did you mean api.payments.example"),
    });
  });

  test("lets hosts pass untouched that a policy with resolution none names, by name or wildcard", async () => {
    const policy = externalService("clouds", ["*.cloud.example", "exact.example"], { resolution: "none" });
    const handed: string[] = [];
    await using client = clientOf(snapshotOfPolicies([only, policy]), {
      // Stands for whatever dispatcher was there before.
      outside: {
        dispatch: (options: { origin: string }, handler: { onResponseError(c: null, e: Error): void }) => {
          handed.push(String(options.origin));
          handler.onResponseError(null, new Error("handed on"));
          return true;
        },
      } as never,
    });
    for (const url of ["https://a.cloud.example", "https://a.b.cloud.example", "https://exact.example"]) {
      await expect(client.request(url)).rejects.toThrow("handed on");
    }
    expect(handed).toEqual(["https://a.cloud.example", "https://a.b.cloud.example", "https://exact.example"]);
    for (const url of ["https://cloud.example", "https://x.exact.example"]) {
      await expect(client.request(url)).rejects.toMatchObject({ code: "OUTSIDE_REFUSED" });
    }
  });
});

describe("a service of the mesh with fallback dns", () => {
  test("asks DNS while nobody is registered, and goes to those who are", async () => {
    await using byDns = await serve((_, response) => response.end("dns"));
    await using registered = await serve((_, response) => response.end("registered"));
    const policies = [service("legacy", { fallback: "dns", port: byDns.endpoint.port })];
    const resolver = resolverFor("legacy");
    const outbound = new Watchable(snapshotOfPolicies(policies));
    await using client = clientOf(outbound, { resolver });
    const url = `http://legacy:${byDns.endpoint.port}/`;
    expect(await (await client.fetch(url)).text()).toBe("dns");
    expect(resolver.asked).toEqual([
      "A legacy.default.svc.cluster.local",
      "lookup legacy.default.svc.cluster.local",
      "A legacy",
    ]);
    outbound.set(snapshotOfPolicies(policies, { "default/legacy": [registered.endpoint] }));
    expect(await (await client.fetch(url)).text()).toBe("registered");
    outbound.set(snapshotOfPolicies(policies));
    expect(await (await client.fetch(url)).text()).toBe("dns");
  });

  test("does not, where the policy does not say so", async () => {
    const resolver = resolverFor("legacy");
    await using client = clientOf(snapshotOfPolicies([service("legacy")]), { resolver });
    await expect(client.fetch("http://legacy/")).rejects.toMatchObject({ code: "NO_HEALTHY_ENDPOINT" });
    expect(resolver.asked).toEqual([]);
  });
});

test("a closed client asks no more", async () => {
  const resolver = resolverFor("api.payments.example");
  const client = clientOf(snapshotOfPolicies([externalService("payments", "api.payments.example")]), { resolver });
  await client.close();
  expect(resolver.closed).toBe(true);
});
