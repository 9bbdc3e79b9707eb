import type { IncomingMessage } from "node:http";
import { type OpenVisit, visitOf } from "./visit.ts";

/** Runs a function inside a visit's context. */
export type RunInVisit = <T>(visit: OpenVisit, run: () => T) => T;

const runKey = Symbol("tulle.run-in-visit");

type BoundRequest = IncomingMessage & { [runKey]?: RunInVisit };

/**
 * Lets listeners of the request's events (`data`, `end`) run inside its visit. Node emits them in the connection's
 * context, so a handler that gathers a body by events and then calls out would lose deadline and trace.
 */
export const bindRequestEvents = (request: IncomingMessage, run: RunInVisit): void => {
  (request as BoundRequest)[runKey] = run;
  request.emit = emitInVisit;
};

function emitInVisit(this: BoundRequest, event: string | symbol, ...args: unknown[]): boolean {
  // The prototype is Node's or a framework's; both are event emitters.
  const prototype = Object.getPrototypeOf(this) as IncomingMessage;
  // Most events of most requests have no listener, and then there is nothing to enter.
  const run = this.listenerCount(event) === 0 ? undefined : this[runKey];
  const visit = run === undefined ? undefined : visitOf(this);
  if (run === undefined || visit === undefined) return prototype.emit.call(this, event, ...args);
  return run(visit, () => prototype.emit.call(this, event, ...args));
}
