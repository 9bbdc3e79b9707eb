import { once } from "node:events";
import { connect, type TLSSocket } from "node:tls";
import type { Credentials } from "@tulle/policy";
import { createTestAuthority } from "@tulle/testing";
import { constant, systemClock, Watchable } from "@tulle/time";
import { expect, onTestFinished, test, vi } from "vitest";
import { inbound, testServer } from "./fixtures.ts";

const open = async (port: number, as: Credentials): Promise<{ socket: TLSSocket; heard: () => string }> => {
  const socket = connect({
    port,
    host: "127.0.0.1",
    rejectUnauthorized: false,
    cert: as.certificateChain,
    key: as.privateKey,
  }).setEncoding("utf8");
  onTestFinished(() => void socket.destroy());
  let heard = "";
  socket.on("data", (chunk) => {
    heard += chunk;
  });
  socket.on("error", () => undefined);
  await once(socket, "secureConnect");
  return { socket, heard: () => heard };
};

test("an idle connection ends with its peer's certificate", async () => {
  const authority = await createTestAuthority();
  const server = testServer({
    inbound: constant(inbound("strict")),
    credentials: constant(await authority.issue({ serviceAccount: "reviews" })),
  });
  const listener = await server.listen((_request, response) => response.end("ok"), { port: 0, host: "127.0.0.1" });
  const long = await open(listener.port, await authority.issue());
  const short = await open(listener.port, await authority.issue({ lifetimeMs: 2_000 }));
  await vi.waitFor(() => expect(server.counters().provenConnections).toBe(2));
  await once(short.socket, "close");
  await vi.waitFor(() => expect(server.counters()).toMatchObject({ retiredConnections: 1, provenConnections: 1 }));
  expect(long.socket.destroyed).toBe(false);
});

test("a dropped root ends the connections that it vouched for, after their replies, and no others", async () => {
  const authority = await createTestAuthority();
  const other = await createTestAuthority("elsewhere.example");
  const own = await authority.issue({
    serviceAccount: "reviews",
    bundles: [authority.bundle, other.bundle],
  });
  const credentials = new Watchable<Credentials | undefined>(own);
  const server = testServer({ inbound: constant(inbound("strict")), credentials, clock: systemClock });
  const finish: (() => void)[] = [];
  const listener = await server.listen((_request, response) => void finish.push(() => response.end("done")), {
    port: 0,
    host: "127.0.0.1",
  });
  const kept = await open(listener.port, await authority.issue());
  const idle = await open(listener.port, await other.issue());
  const busy = await open(listener.port, await other.issue());
  busy.socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n");
  await vi.waitFor(() => expect(finish).toHaveLength(1));

  const idleClosed = once(idle.socket, "close");
  credentials.set({ ...own, generation: 2, bundles: [authority.bundle] });
  await idleClosed;
  expect(busy.socket.destroyed).toBe(false);
  const busyClosed = once(busy.socket, "close");
  finish[0]!();
  await busyClosed;
  expect(busy.heard()).toMatch(/connection: close\r\n/i);
  expect(busy.heard()).toContain("done");
  expect(kept.socket.destroyed).toBe(false);
  await vi.waitFor(() => expect(server.counters()).toMatchObject({ retiredConnections: 2, provenConnections: 1 }));
});
