import type { Server } from "node:http";
import type { Socket } from "node:net";

/** How long an idle connection is kept, which replies announce in `Keep-Alive: timeout=5`: 5 s, a second more than clients do. */
export const KEEP_ALIVE_TIMEOUT_MS = 5_000;

/** Beyond what is announced: a client that uses the last moment must not lose the race. 1 s (Node.js 24). */
const KEEP_ALIVE_BUFFER_MS = 1_000;

/**
 * Keeps idle connections for as long as the replies announce, and lets what has come meanwhile win over their end: after a
 * stall of the event loop Node.js runs its timers before it reads, and would close connections on which a request has been
 * waiting to be read. On HTTP/1.1 its caller could not tell whether it was processed.
 */
export const keepIdleConnections = (
  server: Server,
  limits: { readonly announcedMs: number; readonly bufferMs: number } = {
    announcedMs: KEEP_ALIVE_TIMEOUT_MS,
    bufferMs: KEEP_ALIVE_BUFFER_MS,
  },
): void => {
  server.keepAliveTimeout = limits.announcedMs;
  // Node.js 22 has no such field, and closes at what it announces; setting it there changes nothing.
  (server as Server & { keepAliveTimeoutBuffer?: number }).keepAliveTimeoutBuffer = limits.bufferMs;
  // With a listener for it, Node.js leaves the end of the connection to the listener.
  server.on("timeout", (socket: Socket) => {
    const read = socket.bytesRead;
    // The first turn ends before anything is read, the second after.
    setImmediate(() => setImmediate(() => void (socket.bytesRead === read && socket.destroy())));
  });
};
