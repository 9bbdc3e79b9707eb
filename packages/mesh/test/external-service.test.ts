import { readFile } from "node:fs/promises";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { externalService, mesh as meshPolicy, type Policy } from "@tulle/policy";
import { createTestAuthority, type TestAuthority } from "@tulle/testing";
import { beforeAll, expect, test } from "vitest";
import { tulle } from "./support/command-line.ts";
import { startMesh } from "./support/mesh-fixture.ts";

let authority: TestAuthority;
beforeAll(async () => {
  authority = await createTestAuthority("outside.example");
});

const HOST = "api.payments.example";

/** An HTTPS server on loopback, with roots that nobody trusts by itself; it answers with its name and the name it was asked by. */
const outside = async (name: string): Promise<AsyncDisposable & { readonly port: number }> => {
  const { certificateChain, privateKey } = await authority.issue({ dnsNames: [HOST], uris: [] });
  const server = createServer({ cert: certificateChain, key: privateKey }, (request, response) => {
    // A server of node:https has no other sockets.
    const { servername } = request.socket as TLSSocket & { readonly servername: string };
    response.end(JSON.stringify({ name, sni: servername, host: request.headers.host }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};

const payments = (port: number, fields: object = {}): Policy =>
  externalService("payments", HOST, {
    resolution: "static",
    addresses: [`127.0.0.1:${port}`],
    tls: { ca: authority.root },
    ...fields,
  });

const registryOnly = meshPolicy({ outbound: "registry-only" });

test("an external service is applied, called over TLS with its own roots, changed and deleted, without a restart", async () => {
  await using one = await outside("one");
  await using two = await outside("two");
  await using fixture = await startMesh([{ kind: "Service", name: "shop" }, registryOnly]);
  await using mesh = await fixture.join({ service: "shop" });
  const url = `https://${HOST}/charge`;
  await expect(mesh.fetch(url)).rejects.toMatchObject({ code: "OUTSIDE_REFUSED" });

  const { revision } = await fixture.admin.apply([payments(one.port)]);
  expect(await fixture.admin.acknowledged(revision)).toMatchObject({ complete: true, refused: [] });
  expect(await (await mesh.fetch(url)).json()).toEqual({ name: "one", sni: HOST, host: HOST });
  expect(mesh.explain(url)).toMatchObject({ kind: "mesh", service: "default/payments" });

  const changed = await fixture.admin.apply([payments(two.port)]);
  await fixture.admin.acknowledged(changed.revision);
  expect(await (await mesh.fetch(url)).json()).toMatchObject({ name: "two" });

  const got = await tulle<{ policies: readonly { name: string; hosts: readonly string[] }[] }>(
    fixture,
    "get",
    "externalservice",
    "payments",
  );
  expect(JSON.stringify(got)).toContain(HOST);

  const deleted = await fixture.admin.call<{ revision: string }>("POST", "/v1/delete", {
    keys: [{ kind: "ExternalService", name: "payments" }],
  });
  await fixture.admin.acknowledged(deleted.body.revision);
  await expect(mesh.fetch(url)).rejects.toMatchObject({ code: "OUTSIDE_REFUSED" });
});

test("an external service that takes a name or a host of the mesh is refused whole, with place and reason", async () => {
  await using fixture = await startMesh([{ kind: "Service", name: "shop", hosts: ["shop.example"] }]);
  const answer = await fixture.admin.call<{ problems: unknown[] }>("POST", "/v1/apply", {
    policies: [externalService("shop", ["shop.example", "shop.default.svc.cluster.local", "*.example"])],
  });
  expect(answer.status).toBe(422);
  expect(answer.body.problems).toEqual([
    expect.objectContaining({ path: "hosts[2]", message: expect.stringContaining("a wildcard needs") }),
  ]);
  const collides = await fixture.admin.call<{ problems: { path: string; message: string }[] }>("POST", "/v1/apply", {
    policies: [externalService("shop", ["shop.example"])],
  });
  expect(collides.body.problems.map(({ path }) => path)).toContain("name");
});

test("with the config-server killed and the member restarted from its folder, outside hosts are called at once and external services still", async () => {
  await using server = await outside("one");
  await using fixture = await startMesh([{ kind: "Service", name: "shop" }, payments(server.port)]);
  const stateDir = await fixture.folder();
  const token = await fixture.token("shop");
  const first = await fixture.startMember({ service: "shop", instanceId: "shop-0", stateDir, token });
  const url = `https://${HOST}/`;
  expect(await first.ask({ ask: "fetch", url }, "fetched")).toMatchObject({ fetched: { status: 200 } });
  const kept = join(stateDir, "member-0", "resources.json");
  await expect
    .poll(() => readFile(kept, "utf8").catch(() => ""))
    .toMatch(/external\/default\/payments(.|\n)*endpoints\/default\/payments/);

  await fixture.killConfigServer();
  await first.end("SIGKILL");
  const handed: string[] = [];
  await using second = await fixture.join({
    service: "shop",
    instanceId: "shop-0",
    stateDir,
    token,
    readyTimeout: "100ms",
    // Stands for the dispatcher that was there before the mesh.
    outside: {
      dispatch: (options: { readonly origin: string }, handler: { onResponseError(c: null, error: Error): void }) => {
        handed.push(options.origin);
        queueMicrotask(() => handler.onResponseError(null, new Error("handed on")));
        return true;
      },
    } as never,
  });
  expect(second.status.state).toBe("disconnected");

  // Handed on within the very call: nothing was waited for.
  const call = second.request("https://api.github.example/");
  expect(handed).toEqual(["https://api.github.example"]);
  await expect(call).rejects.toThrow("handed on");
  expect(await (await second.fetch(url)).json()).toMatchObject({ name: "one" });
  expect(handed).toHaveLength(1);
});
