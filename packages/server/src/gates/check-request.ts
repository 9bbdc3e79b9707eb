import type { Gate, Refusal } from "../gate.ts";

const malformedPath: Refusal = {
  code: "INVALID_REQUEST",
  detail: "the request's path is malformed, so no rule can be trusted with it",
};

const twoHosts: Refusal = {
  code: "INVALID_REQUEST",
  detail: "the request names its host twice, so no rule can be trusted with it",
};

const malformedHost: Refusal = {
  code: "INVALID_REQUEST",
  detail: "the request's host holds what no host holds, so no rule can be trusted with it",
};

const closed: Refusal = { code: "DRAINING", detail: "the listener is closed and begins nothing new" };

/** Refuses what came too late for a closed listener, and paths and hosts that rules and handlers could read in two ways. */
export const checkRequest: Gate = (visit) => {
  if (visit.late) return closed;
  if (visit.path === "") return malformedPath;
  if (saysHostTwice(visit.request.rawHeaders)) return twoHosts;
  return foreignToHosts.test(visit.request.headers.host ?? "") ? malformedHost : undefined;
};

/** What a parser of addresses takes for the end of the host, or for a user before it: `user@admin.example`, `a/b`. */
const foreignToHosts = /[@/\\?#,<>"\s]/;

/** Node keeps the first of several; what a handler, or another server behind it, would read is anybody's guess. */
const saysHostTwice = (rawHeaders: readonly string[]): boolean => {
  let seen = false;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at];
    if (name === undefined || name.length !== HOST_LENGTH || name.toLowerCase() !== "host") continue;
    if (seen) return true;
    seen = true;
  }
  return false;
};

const HOST_LENGTH = "host".length;
