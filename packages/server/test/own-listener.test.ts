import { once } from "node:events";
import { createServer as createPlainServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { AccessPolicy } from "@tulle/policy";
import { meshHandler } from "@tulle/server/node-http";
import { createTestAuthority } from "@tulle/testing";
import { constant } from "@tulle/time";
import { expect, onTestFinished, test } from "vitest";
import { call, inbound, testServer } from "./fixtures.ts";

const onlyProductpage: AccessPolicy = {
  kind: "Access",
  name: "productpage",
  rules: [{ from: [{ principals: ["cluster.local/ns/default/sa/productpage"] }] }],
};

const portOf = async (server: Server): Promise<number> => {
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
};

test("a TLS server of the service's own identifies its peers by their certificates, and strict demands one", async () => {
  const authority = await createTestAuthority();
  const stranger = await createTestAuthority("elsewhere.example");
  const own = await authority.issue({ serviceAccount: "reviews" });
  const server = testServer({
    inbound: constant(inbound("strict", [onlyProductpage])),
    credentials: constant(own),
  });
  const port = await portOf(
    createTlsServer(
      {
        cert: own.certificateChain,
        key: own.privateKey,
        ca: [...authority.bundle.roots],
        requestCert: true,
        rejectUnauthorized: false,
      },
      meshHandler(server, (_request, response, visit) => response.end(visit.peer?.serviceAccount)),
    ),
  );
  expect(await call(port, { as: await authority.issue({ serviceAccount: "productpage" }) })).toMatchObject({
    status: 200,
    body: "productpage",
  });
  const denied = await call(port, { as: await authority.issue({ serviceAccount: "ratings" }) });
  expect(JSON.parse(denied.body)).toMatchObject({ code: "ACCESS_DENIED" });
  expect(await call(port, { tls: true })).toMatchObject({ status: 403, body: "Forbidden\n" });
  expect(await call(port, { as: await stranger.issue() })).toMatchObject({ status: 403, body: "Forbidden\n" });
  expect(await call(port, { as: await authority.issue({ expired: true }) })).toMatchObject({ status: 403 });
  expect(server.counters()).toMatchObject({
    "refused.ACCESS_DENIED": 1,
    "refused.PEER_ABSENT": 1,
    "refused.PEER_UNTRUSTED": 1,
    "refused.PEER_EXPIRED": 1,
  });
});

test("a plaintext server of the service's own serves nobody where mTLS is strict", async () => {
  const server = testServer({ inbound: constant(inbound("strict")) });
  const port = await portOf(createPlainServer(meshHandler(server, (_request, response) => response.end("ok"))));
  expect(await call(port)).toMatchObject({ status: 403, body: "Forbidden\n" });
  expect(server.counters()["refused.PLAINTEXT_REFUSED"]).toBe(1);
});
