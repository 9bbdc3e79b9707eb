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
  const emit = (): boolean => Reflect.apply(prototype.emit, this, [event, ...args]);
  const run = this[runKey];
  const visit = visitOf(this);
  return run === undefined || visit === undefined || this.listenerCount(event) === 0 ? emit() : run(visit, emit);
}
