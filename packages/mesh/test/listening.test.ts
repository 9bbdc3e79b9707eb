import { createServer } from "node:http";
import Fastify from "fastify";
import { expect, test } from "vitest";
import { createMesh } from "../src/create-mesh.ts";
import { fastifyMesh } from "../src/fastify.ts";
import type { Mesh } from "../src/mesh.ts";
import { startProgram } from "./support/process.ts";

const nothing = { policies: [], endpoints: {} };

test("a mesh that was left serves nothing any more", async () => {
  const mesh = createMesh(nothing);
  await mesh.leave();
  await expect(mesh.listen(createServer(), { port: 0 })).rejects.toMatchObject({ code: "MESH_CLOSED" });
});

test("a Fastify application that is given something else than a mesh fails to start, and its process goes on", async () => {
  const app = Fastify();
  app.register(fastifyMesh, { mesh: {} as Mesh });
  await expect(app.ready()).rejects.toMatchObject({ code: "INVALID_CALL" });
});

test("each worker of a cluster that lets the system choose has a port of its own", async () => {
  await using cluster = startProgram("cluster", {});
  const { ports } = await cluster.heard("ports");
  expect(new Set(ports as number[]).size).toBe(2);
});
