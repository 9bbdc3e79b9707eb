import { X509Certificate } from "node:crypto";
import { EventEmitter } from "node:events";
import type { TLSSocket } from "node:tls";
import type { Credentials } from "@tulle/policy";
import { createTestAuthority, FakeClock } from "@tulle/testing";
import { constant } from "@tulle/time";
import { expect, test, vi } from "vitest";
import type { Connection } from "../connection.ts";
import { ProvenPeers } from "./proven-peers.ts";

const LIFE_MS = 100_000;

/** A peer with a certificate of 100 s on a socket that does nothing but close. */
const kept = async () => {
  const authority = await createTestAuthority();
  const own = await authority.issue({ serviceAccount: "reviews" });
  const peer: Credentials = await authority.issue({ lifetimeMs: LIFE_MS });
  const clock = new FakeClock(0, peer.notAfterMs - LIFE_MS);
  const onRetired = vi.fn();
  const peers = new ProvenPeers({ clock, credentials: constant<Credentials | undefined>(own), onRetired });
  const emitter = new EventEmitter();
  const destroy = vi.fn(() => emitter.emit("close"));
  // What ProvenPeers uses of a socket.
  const socket = Object.assign(emitter, {
    authorized: true,
    remoteAddress: "127.0.0.1",
    getPeerX509Certificate: () => new X509Certificate(peer.certificateChain),
    destroy,
  }) as unknown as TLSSocket;
  const verdict = peers.verify(socket);
  if (!verdict.ok) throw new Error(verdict.detail);
  // The certificate is good and the server has its own, so there is a connection.
  const connection = peers.keep(socket, verdict) as Connection;
  return { clock, peers, socket, destroy, connection, onRetired };
};

test("replies say farewell before the certificate ends, and an idle connection ends with it", async () => {
  const { clock, peers, destroy, connection, onRetired } = await kept();
  clock.advance(LIFE_MS - 5_001);
  expect(connection.retiring).toBe(false);
  clock.advance(1);
  expect(connection.retiring).toBe(true);
  clock.advance(4_999);
  expect(destroy).not.toHaveBeenCalled();
  clock.advance(1);
  expect(destroy).toHaveBeenCalledOnce();
  expect(onRetired).toHaveBeenCalledOnce();
  expect(peers.size).toBe(0);
  expect(clock.pendingTimers).toBe(0);
});

test("a reply that still flows when the certificate ends has half a minute", async () => {
  const { clock, destroy, connection } = await kept();
  connection.visits = 1;
  clock.advance(LIFE_MS);
  expect(destroy).not.toHaveBeenCalled();
  clock.advance(30_000);
  expect(destroy).toHaveBeenCalledOnce();
  expect(clock.pendingTimers).toBe(0);
});

test("a connection that closes by itself leaves no timer, nor does the end of the server", async () => {
  const first = await kept();
  first.socket.emit("close");
  expect(first.clock.pendingTimers).toBe(0);
  const second = await kept();
  expect(second.clock.pendingTimers).toBe(1);
  second.peers.close();
  expect(second.clock.pendingTimers).toBe(0);
});
