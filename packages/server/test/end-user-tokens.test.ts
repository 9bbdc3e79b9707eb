import { once } from "node:events";
import { createServer as createPlainServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { expressMesh } from "@tulle/server/express";
import { fastifyMesh } from "@tulle/server/fastify";
import { meshHandler } from "@tulle/server/node-http";
import { createTestIssuer } from "@tulle/testing";
import { constant } from "@tulle/time";
import express from "express";
import fastify from "fastify";
import { describe, expect, onTestFinished, test } from "vitest";
import { call, inbound, testServer } from "./fixtures.ts";

// Tokens of end users on listeners of a service's own, where the frameworks have seen the request before the gates.

const issuer = createTestIssuer();

const checking = (enforced: boolean) =>
  testServer({
    mode: enforced ? "full" : "observe",
    inbound: constant({
      ...inbound("disable"),
      authentication: [
        {
          kind: "Authentication",
          name: "users",
          jwt: [
            {
              issuer: issuer.issuer,
              jwks: issuer.jwks,
              outputClaimToHeaders: [{ header: "x-user", claim: "sub" }],
            },
          ],
        },
      ],
    }),
  });

const portOf = async (listener: RequestListener): Promise<number> => {
  const server = createPlainServer(listener);
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
};

const servers: Readonly<Record<string, (enforced: boolean) => Promise<number>>> = {
  "node:http": (enforced) =>
    portOf(
      meshHandler(checking(enforced), ({ url, headers }, response) => response.end(JSON.stringify({ url, headers }))),
    ),
  Express: (enforced) => {
    const app = express();
    app.use(expressMesh(checking(enforced)));
    app.get("/{*any}", ({ originalUrl: url, query, headers }, response) => {
      response.end(JSON.stringify({ url, query, headers }));
    });
    return portOf(app);
  },
  Fastify: async (enforced) => {
    const app = fastify();
    await app.register(fastifyMesh, { mesh: checking(enforced) });
    app.get("/*", ({ raw: { url }, query, headers }) => JSON.stringify({ url, query, headers }));
    onTestFinished(() => app.close());
    await app.listen({ port: 0, host: "127.0.0.1" });
    return (app.server.address() as AddressInfo).port;
  },
};

describe.each(Object.entries(servers))("%s with a listener of its own", (_name, start) => {
  const token = issuer.token();

  test("sees the user's claims, no token and no forged header", async () => {
    const port = await start(true);
    const { status, body } = await call(port, {
      path: `/reviews?access_token=${token}&page=2`,
      headers: { authorization: `Bearer ${token}`, "x-user": "admin" },
    });
    expect(status).toBe(200);
    expect(body).not.toContain(token);
    expect(JSON.parse(body)).toMatchObject({ url: "/reviews?page=2", headers: { "x-user": "user-1" } });
  });

  test("never sees a request with a bad token", async () => {
    const port = await start(true);
    const { status, headers, body } = await call(port, { path: "/reviews?access_token=bad" });
    expect({ status, body }).toEqual({ status: 401, body: "Unauthorized\n" });
    expect(headers["www-authenticate"]).toContain('error="invalid_token"');
  });

  test("is left alone while it has not moved in", async () => {
    const port = await start(false);
    const { status, body } = await call(port, { path: "/reviews?access_token=bad", headers: { "x-user": "admin" } });
    expect(status).toBe(200);
    expect(JSON.parse(body)).toMatchObject({ url: "/reviews?access_token=bad", headers: { "x-user": "admin" } });
  });
});
