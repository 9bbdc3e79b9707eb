import type { Clock, Timer } from "@tulle/time";
import type { Connection } from "../connection.ts";

/** How long a reply may still flow on a connection that must end. */
const LAST_REPLY_MS = 30_000;

/**
 * Ends an idle connection at once, a busy one after its reply, which says so; one that is shared ends with its last exchange. What
 * has not ended after 30 s is cut off.
 * Returns the timer of that, to be cancelled when the socket closes.
 */
export const retireConnection = (
  socket: { destroy(): unknown },
  connection: Connection,
  clock: Clock,
): Timer | undefined => {
  connection.retiring = true;
  connection.shared?.close();
  if (connection.visits > 0 || connection.shared !== undefined)
    return clock.after(LAST_REPLY_MS, () => socket.destroy());
  socket.destroy();
  return undefined;
};
