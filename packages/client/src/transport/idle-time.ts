/** By how much a client closes an idle connection earlier than the server said it would: 1 s, at most half of what it said. */
export const IDLE_MARGIN_MS = 1_000;

/** What undici closes idle sockets by, below what a server said, milliseconds; a second line behind {@link usableIdleMs}. */
export const UNDICI_THRESHOLD_MS = 500;

/** How long the server keeps an idle connection by its own word, from `Keep-Alive: timeout=5`; `undefined` without one. */
export const announcedIdleMs = (header: string | readonly string[] | undefined): number | undefined => {
  const text = typeof header === "string" ? header : header?.join(",");
  const seconds = text === undefined ? undefined : /(?:^|[,\s])timeout=(\d{1,9})/i.exec(text)?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1_000;
};

/**
 * How long a connection may have been idle and still be used. The client must be the one that closes: a request that meets
 * the server's close on its way is lost, and nobody can tell whether it was processed.
 *
 * @param keepAliveMs the policy's limit; what the server says never makes it longer.
 * @param announcedMs the server's word, from {@link announcedIdleMs}.
 * @param lagMs by how much the event loop was late of late: so much longer may the server's time have run than ours.
 */
export const usableIdleMs = (keepAliveMs: number, announcedMs: number | undefined, lagMs: number): number => {
  const safeMs =
    announcedMs === undefined
      ? keepAliveMs
      : Math.min(keepAliveMs, announcedMs - Math.min(IDLE_MARGIN_MS, announcedMs / 2));
  // undici reads what has come on an idle socket before it writes, so a long stall need not cost every connection.
  return Math.max(safeMs - lagMs, safeMs / 2);
};
