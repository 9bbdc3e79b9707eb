import type { Gate, Refusal } from "../gate.ts";

const malformedPath: Refusal = {
  code: "INVALID_REQUEST",
  detail: "the request's path is malformed, so no rule can be trusted with it",
};

const closed: Refusal = { code: "DRAINING", detail: "the listener is closed and begins nothing new" };

/** Refuses what came too late for a closed listener, and paths that rules and handlers could read in two ways. */
export const checkRequest: Gate = (visit) => {
  if (visit.late) return closed;
  return visit.path === "" ? malformedPath : undefined;
};
