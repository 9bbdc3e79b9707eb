import { type OutgoingHttpHeader, ServerResponse } from "node:http";
import { DRAIN_HEADER, LOAD_REPORT_HEADER, RETRIED_HEADER } from "./control-headers.ts";
import type { OpenVisit } from "./visit.ts";

const visitKey = Symbol("tulle.visit");

type GuardedResponse = ServerResponse & { [visitKey]?: OpenVisit };

/**
 * Keeps handlers from saying what only the mesh may say: `tulle-` headers and load reports, set in whatever way or copied from another
 * member's reply, never leave the process; and makes replies of a draining listener close their connections.
 *
 * Every way of sending headers ends in the response's own `writeHead`, also `flushHeaders`, `write` and `end`. It is a
 * property of the object and not of a subclass, because Express replaces the prototype of each response.
 */
export const guardReply = (response: ServerResponse, visit: OpenVisit): void => {
  (response as GuardedResponse)[visitKey] = visit;
  // The overloads of writeHead cannot be written for a function that hands its arguments on.
  response.writeHead = guardedWriteHead as ServerResponse["writeHead"];
};

type GivenHeaders = Readonly<Record<string, OutgoingHttpHeader | undefined>> | readonly unknown[];

function guardedWriteHead(
  this: GuardedResponse,
  status: number,
  reasonOrHeaders?: string | GivenHeaders,
  headers?: GivenHeaders,
): ServerResponse {
  const visit = this[visitKey];
  if (status >= 200) visit?.answerBegins(status);
  const closing = visit !== undefined && (visit.listenerState.draining || visit.connection.retiring);
  const inH2 = this.req.httpVersionMajor >= 2;
  const unwanted = inH2 ? isReservedOrOfConnection : closing ? isReservedOrConnection : isReserved;
  // HTTP/2 has no reasons.
  const reason = typeof reasonOrHeaders === "string" && !inH2 ? reasonOrHeaders : undefined;
  const given = typeof reasonOrHeaders === "string" ? headers : (headers ?? reasonOrHeaders);
  let clean = given === undefined ? undefined : without(unwanted, given);
  if (inH2 && clean !== undefined && isList(clean)) clean = byName(clean);
  if (closing) visit.connection.shared?.leave();
  if (!this.headersSent) {
    for (const name of this.getHeaderNames()) if (unwanted(name)) this.removeHeader(name);
    const retried = visit?.trusted === true && visit.retriedInVain && status >= 500;
    const load = status >= 200 ? visit?.loadReport : undefined;
    if (closing || retried || load !== undefined) {
      const ours: (readonly [string, string])[] = [
        ...(closing && !inH2 ? close : []),
        ...(closing && visit.trusted && visit.listenerState.draining ? drain : []),
        ...(retried ? retriedInVain : []),
        ...(load === undefined ? [] : [[LOAD_REPORT_HEADER, load] as const]),
      ];
      // A list stays a list: as single fields Node would drop all but the last of a name.
      if (clean !== undefined && isList(clean)) clean = [...clean, ...ours.flat()];
      else for (const [name, value] of ours) this.setHeader(name, value);
    }
  }
  const writeHead = inheritedWriteHead(this);
  return reason === undefined ? writeHead.call(this, status, clean) : writeHead.call(this, status, reason, clean);
}

const close: readonly (readonly [string, string])[] = [["connection", "close"]];
const drain: readonly (readonly [string, string])[] = [[DRAIN_HEADER, "1"]];
const retriedInVain: readonly (readonly [string, string])[] = [[RETRIED_HEADER, "1"]];

/** The framework's prototype may have a writeHead of its own; without one this is Node's. */
const inheritedWriteHead = (response: ServerResponse): ((...parts: unknown[]) => ServerResponse) => {
  // A prototype is an unknown object to the type checker.
  const prototype = Object.getPrototypeOf(response) as Partial<ServerResponse>;
  // Called with the arguments as they came, whichever overload that is.
  return (prototype.writeHead ?? ServerResponse.prototype.writeHead) as (...parts: unknown[]) => ServerResponse;
};

const LETTER_T = 0x74;

const LETTER_E = 0x65;

const isReserved = (name: string): boolean => {
  const letter = name.charCodeAt(0) | 0x20;
  if (letter === LETTER_T) return name.slice(0, "tulle-".length).toLowerCase() === "tulle-";
  return letter === LETTER_E && name.length === LOAD_REPORT_HEADER.length && name.toLowerCase() === LOAD_REPORT_HEADER;
};

const isReservedOrConnection = (name: string): boolean => isReserved(name) || name.toLowerCase() === "connection";

/** What speaks of one connection has no place in HTTP/2 (RFC 9113, 8.2.2). */
const ofConnection: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

const isReservedOrOfConnection = (name: string): boolean => isReserved(name) || ofConnection.has(name.toLowerCase());

/** A flat list as one value or list of values per name: that is what HTTP/2's responses take without losing any. */
const byName = (list: readonly unknown[]): Record<string, OutgoingHttpHeader> => {
  // Without a prototype: a header may be called "constructor".
  const found = Object.create(null) as Record<string, string[]>;
  for (let at = 0; at + 1 < list.length; at += 2) {
    const name = String(list[at]).toLowerCase();
    found[name] ??= [];
    found[name].push(...[list[at + 1]].flat().map(String));
  }
  return Object.fromEntries(
    Object.entries(found).map(([name, values]) => [name, values.length === 1 ? String(values[0]) : values]),
  );
};

/** Leaves what needs no cleaning untouched; else a copy, for the given object is the handler's. */
const without = (unwanted: (name: string) => boolean, given: GivenHeaders): GivenHeaders => {
  if (!isList(given)) {
    if (!Object.keys(given).some(unwanted)) return given;
    return Object.fromEntries(Object.entries(given).filter(([name]) => !unwanted(name)));
  }
  // A list of pairs, or the flat list that rawHeaders is; Node takes both, we hand on the flat one.
  const flat = given.some(Array.isArray) && given.every(isPair) ? given.flat() : given;
  return flat.filter((_, at) => !unwanted(String(flat[at - (at % 2)])));
};

const isPair = (entry: unknown): boolean => Array.isArray(entry) && entry.length === 2;

const isList = (given: GivenHeaders): given is readonly unknown[] => Array.isArray(given);
