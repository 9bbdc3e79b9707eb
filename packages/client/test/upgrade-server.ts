import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";

/** What RFC 6455 has servers add to the client's key. */
const WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/** The code of a frame that says goodbye. */
const CLOSE = 8;

/**
 * Serves upgrades: `echo` says every byte again, `websocket` says short text messages again, `/refused` is answered with 400.
 * For the `upgrade` event of a server.
 */
export const serveUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
  socket.on("error", () => undefined);
  if (request.url === "/refused") {
    socket.end("HTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno");
    return;
  }
  const protocol = String(request.headers.upgrade).toLowerCase();
  const accept = createHash("sha1").update(`${request.headers["sec-websocket-key"]}${WEBSOCKET_GUID}`).digest("base64");
  const proof = protocol === "websocket" ? `sec-websocket-accept: ${accept}\r\n` : "";
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: ${protocol}\r\nX-Served-By: reviews\r\n${proof}\r\n`,
  );
  if (head.length > 0) socket.unshift(head);
  if (protocol === "websocket") {
    socket.on("data", (frame: Buffer) => {
      socket.write(echoOf(frame));
      if (((frame[0] ?? 0) & 0x0f) === CLOSE) socket.end();
    });
  } else socket.pipe(socket);
};

/** One short frame of a client, unmasked. A frame per read is enough for these tests. */
const echoOf = (frame: Buffer): Buffer => {
  const length = (frame[1] ?? 0) & 0x7f;
  const mask = frame.subarray(2, 6);
  const payload = frame.subarray(6, 6 + length).map((byte, at) => byte ^ (mask[at % 4] ?? 0));
  return Buffer.concat([Buffer.from([frame[0] ?? 0, length]), payload]);
};
