import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { PolicyError } from "@tulle/policy";
import { expect, test } from "vitest";
import { type CreateBalancer, createMesh } from "../src/index.ts";
import { startMesh } from "./support/mesh-fixture.ts";

/** Always the one on the highest port. */
const highestPort: CreateBalancer = () => ({
  pick: (candidates) => candidates.toSorted((a, b) => b.endpoint.port - a.endpoint.port)[0],
});

const reviews = { kind: "Service", name: "reviews", balancer: { algorithm: "custom", name: "highest-port" } } as const;

const instance = async (): Promise<{ port: number } & AsyncDisposable> => {
  const server = createServer((request, response) => response.end(String(request.socket.localPort)));
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

test("a balancer of the application's own chooses the instance of every call, and explanations name it", async () => {
  await using one = await instance();
  await using other = await instance();
  const ports = [one.port, other.port];
  await using mesh = createMesh({
    policies: [reviews],
    endpoints: { reviews: ports.map((port) => `127.0.0.1:${port}`) },
    balancers: { "highest-port": highestPort },
  });
  for (let call = 0; call < 5; call++) {
    expect(await (await mesh.fetch("http://reviews/")).text()).toBe(String(Math.max(...ports)));
  }
  expect(mesh.explain("http://reviews/").destinations[0]?.balancer).toBe("custom:highest-port");
});

test("a mesh is not made with a policy whose balancer it was not given, nor updated to one", () => {
  const endpoints = { reviews: ["127.0.0.1:1"] };
  expect(() => createMesh({ policies: [reviews], endpoints, balancers: { other: highestPort } })).toThrow(PolicyError);
  expect(() => createMesh({ policies: [reviews], endpoints })).toThrow(
    'Service/default/reviews balancer.name: this process was given no balancer "highest-port"',
  );
  const mesh = createMesh({ policies: [], endpoints });
  expect(() => mesh.update({ policies: [reviews], endpoints })).toThrow(PolicyError);
  expect(mesh.status.revision).toBe("static.1");
});

test("a member without the balancer keeps its last good revision, one that has it follows", async () => {
  await using fixture = await startMesh([
    { kind: "Service", name: "productpage" },
    { kind: "Service", name: "reviews" },
  ]);
  await fixture.startMember({ service: "reviews", version: "v1" });
  const warnings: string[] = [];
  const logger = {
    info: () => undefined,
    warn: (text: string) => warnings.push(text),
    error: (text: string) => warnings.push(text),
  };
  const without = await fixture.join({ service: "productpage", logger });
  const having = await fixture.join({ service: "productpage", balancers: { "highest-port": highestPort } });
  for (const mesh of [without, having]) await (await mesh.fetch("http://reviews/")).text();
  await fixture.admin.apply([{ kind: "Service", name: "productpage" }, reviews]);
  await expect
    .poll(() => having.explain("http://reviews/").destinations[0]?.balancer, { timeout: 10_000 })
    .toBe("custom:highest-port");
  await expect.poll(() => warnings.join("\n"), { timeout: 10_000 }).toContain('no balancer "highest-port"');
  expect(without.explain("http://reviews/").destinations[0]?.balancer).toBe("peak-ewma");
  expect((await without.fetch("http://reviews/")).status).toBe(200);
});
