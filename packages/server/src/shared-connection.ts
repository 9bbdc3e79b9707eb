import type { Http2Session } from "node:http2";
import type { Clock } from "@tulle/time";

/** What a peer sends after its end was told takes no longer to arrive; the answer to a PING tells it sooner. 1 s. */
const FAREWELL_MS = 1_000;

/** A connection that carries many exchanges at once, so that no reply can close it: HTTP/2. */
export interface SharedConnection {
  /**
   * Asks the peer to begin nothing more here. What is on its way is served still, and no request is lost: the first GOAWAY names
   * no stream, and the second, after a round trip, the last one that came (RFC 9113, 6.8).
   */
  leave(): void;
  /** Begins nothing more; what is on its way is refused, which tells the peer that it was not processed. */
  close(): void;
}

/** No request can have a higher one. */
const LAST_STREAM_ID = 2 ** 31 - 1;

/** The way to end a session. */
export const sharedConnection = (session: Http2Session, clock: Clock): SharedConnection => {
  let leaving = false;
  const close = (): void => {
    leaving = true;
    if (!session.closed && !session.destroyed) session.close();
  };
  return {
    leave: () => {
      if (leaving || session.closed || session.destroyed) return;
      leaving = true;
      session.goaway(0, LAST_STREAM_ID);
      const timer = clock.after(FAREWELL_MS, close);
      session.once("close", () => timer.cancel());
      // A peer that does not answer is left when the time is over.
      session.ping((error) => {
        if (error === null) close();
      });
    },
    close,
  };
};
