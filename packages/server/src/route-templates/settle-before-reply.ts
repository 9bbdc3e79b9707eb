import type { ServerResponse } from "node:http";

/** The ways in which a handler begins an answer. Each is a property of the one response, for frameworks replace the prototype. */
type Beginning = Pick<ServerResponse, "writeHead" | "flushHeaders" | "write" | "end">;

/**
 * Holds an answer back until it is settled that the request may be served. A handler that begins one before anybody knew a
 * route answers without a route: `settle` is asked then, and says whether it may. Where it may not, it has written the
 * refusal, and what the handler still writes is thrown away.
 */
export const settleBeforeReply = (response: ServerResponse, settle: () => boolean): void => {
  const own = ownOf(response);
  let asked = false;
  /** Whether the handler's answer goes out. */
  const mayBegin = (): boolean => {
    if (asked) return false;
    asked = true;
    restore(response, own);
    if (settle()) return true;
    Object.assign(response, thrownAway(response));
    return false;
  };
  Object.assign(response, {
    writeHead: (...parts: Parameters<ServerResponse["writeHead"]>) =>
      mayBegin() ? response.writeHead(...parts) : response,
    flushHeaders: () => {
      if (mayBegin()) response.flushHeaders();
    },
    // The overloads of write and end cannot be written for functions that hand their arguments on.
    write: (...parts: Parameters<ServerResponse["write"]>) => !mayBegin() || response.write(...parts),
    end: (...parts: Parameters<ServerResponse["end"]>) => (mayBegin() ? response.end(...parts) : response),
  });
};

/** It is settled, and the route may answer as it likes. */
export const releaseReply = (response: ServerResponse): void => {
  const before = (response as WithheldResponse)[withheldKey];
  if (before !== undefined) restore(response, before);
};

const withheldKey = Symbol("tulle.withheld");

type WithheldResponse = ServerResponse & { [withheldKey]?: Partial<Beginning> };

const beginnings = ["writeHead", "flushHeaders", "write", "end"] as const;

/** What stands on the response itself and not on its prototype; kept there for the way back. */
const ownOf = (response: WithheldResponse): Partial<Beginning> => {
  const own: Partial<Beginning> = Object.fromEntries(
    beginnings.filter((name) => Object.hasOwn(response, name)).map((name) => [name, response[name]]),
  );
  response[withheldKey] = own;
  return own;
};

const restore = (response: WithheldResponse, own: Partial<Beginning>): void => {
  delete response[withheldKey];
  for (const name of beginnings) if (!Object.hasOwn(own, name)) Reflect.deleteProperty(response, name);
  Object.assign(response, own);
};

/** After the refusal: a handler that goes on writing must neither be heard nor end the process by an error that nobody awaits. */
const thrownAway = (response: ServerResponse): Beginning => ({
  writeHead: () => response,
  flushHeaders: () => undefined,
  write: () => true,
  end: () => response,
});
