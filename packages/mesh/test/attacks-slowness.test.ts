import { once } from "node:events";
import { connect as connectTcp } from "node:net";
import { connect as connectTls } from "node:tls";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { open, productpage, type Shown, startTarget, statusesOf } from "./support/attack-kit.ts";

/*
 * Callers that take their time, or go away in the middle, against a running member with short limits: none of them holds a
 * connection for longer than it is told.
 */

const brief = { sniff: { deadlineMs: 50, handshakeMs: 100, headersMs: 100 } };
const connectionsOf = ({ mesh }: Awaited<ReturnType<typeof startTarget>>) => mesh.status.counters.server.connections;

test.each([
  ["begins a handshake and says no more", Buffer.from([0x16])],
  ["begins a handshake with half a hello", Buffer.from("16030102000100", "hex")],
])("a caller that %s is cut off", async (_, bytes) => {
  const target = await startTarget({ listen: brief });
  const { socket, closed } = await open(target.port, "plaintext");
  socket.write(bytes);
  await closed;
  await vi.waitFor(() => expect(connectionsOf(target)).toBe(0));
  expect(target.mesh.status.counters.server.failedHandshakes).toBe(1);
});

test("a caller that sends a handshake byte by byte is cut off", async () => {
  const target = await startTarget({ listen: brief });
  const { socket, closed } = await open(target.port, "plaintext");
  const hello = Buffer.concat([Buffer.from("160301020001", "hex"), Buffer.alloc(512)]);
  let at = 0;
  const drip = setInterval(() => socket.write(hello.subarray(at, ++at)), 10);
  onTestFinished(() => clearInterval(drip));
  await closed;
  expect(at).toBeLessThan(hello.length);
});

test("a caller that goes away as soon as the handshake is over leaves nothing behind", async () => {
  const target = await startTarget({ listen: brief });
  for (let time = 0; time < 5; time++) {
    const socket = connectTls({
      port: target.port,
      host: "127.0.0.1",
      rejectUnauthorized: false,
      cert: productpage.certificateChain,
      key: productpage.privateKey,
    });
    await once(socket, "secureConnect");
    socket.destroy();
  }
  await vi.waitFor(() => expect(connectionsOf(target)).toBe(0));
});

test("a caller that goes away in the middle of a handshake leaves nothing behind", async () => {
  const target = await startTarget({ listen: brief });
  const socket = connectTcp(target.port, "127.0.0.1");
  const tls = connectTls({ socket, rejectUnauthorized: false });
  tls.on("error", () => undefined);
  await once(socket, "connect");
  socket.destroySoon();
  await vi.waitFor(() => expect(connectionsOf(target)).toBe(0));
});

const callers: readonly (readonly [string, Shown | "plaintext"])[] = [
  ["a stranger", "plaintext"],
  ["a peer", productpage],
];

describe.each(callers)("%s", (_, as) => {
  test("whose headers never end is answered 408 and cut off", async () => {
    const target = await startTarget({ mtls: "permissive", listen: brief });
    const { socket, heard, closed } = await open(target.port, as);
    socket.write("GET /a HTTP/1.1\r\nhost: reviews\r\nx: ");
    await closed;
    expect(statusesOf(heard().toString())).toEqual([408]);
    expect(target.handled).toEqual([]);
  });

  test("whose headers come byte by byte is cut off all the same", async () => {
    const target = await startTarget({ mtls: "permissive", listen: brief });
    const { socket, closed } = await open(target.port, as);
    socket.write("GET /a HTTP/1.1\r\nhost: reviews\r\nx: ");
    const drip = setInterval(() => socket.write("a"), 10);
    onTestFinished(() => clearInterval(drip));
    await closed;
    expect(target.handled).toEqual([]);
  });

  test("whose body never comes keeps a connection and no more: others are served meanwhile", async () => {
    const target = await startTarget({ mtls: "permissive", listen: brief });
    const slow = await open(target.port, as);
    slow.socket.write("POST /a HTTP/1.1\r\nhost: reviews\r\ncontent-length: 5\r\n\r\nhi");
    const other = await open(target.port, as);
    other.socket.write("GET /a HTTP/1.1\r\nhost: reviews\r\nconnection: close\r\n\r\n");
    await other.closed;
    expect(target.handled.map(({ method }) => method)).toEqual(["GET"]);
    slow.socket.destroy();
    await vi.waitFor(() => expect(connectionsOf(target)).toBe(0));
    expect(target.handled.map(({ method }) => method)).toEqual(["GET"]);
  });

  test("whose refused body never comes is answered at once", async () => {
    const target = await startTarget({ mtls: "permissive", listen: brief });
    const { socket, heard } = await open(target.port, as);
    socket.write("POST /admin HTTP/1.1\r\nhost: reviews\r\ncontent-length: 5\r\n\r\nhi");
    await vi.waitFor(() => expect(statusesOf(heard().toString())).toEqual([403]));
  });
});
