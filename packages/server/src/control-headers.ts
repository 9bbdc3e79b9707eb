import type { IncomingMessage } from "node:http";
import { isH2, takeFieldsOut, takeHeadersOut } from "./header-views.ts";
import { streamOf } from "./listener/h2-request.ts";

/** The header that tells a caller that a gate refused before any handler ran, so that any method may be tried elsewhere. */
export const REFUSED_HEADER = "tulle-refused";

/** The header that tells a peer in-band that this instance drains. */
export const DRAIN_HEADER = "tulle-drain";

/** The header that tells a caller that a call made for it was retried in vain, so that it does not try again in turn. */
export const RETRIED_HEADER = "tulle-retried";

/** The header by which a peer counts its attempts, from 1 (Envoy's). */
export const ATTEMPT_COUNT_HEADER = "x-envoy-attempt-count";

/** With an attempt's number above 1: no earlier attempt of the call can have reached a handler. */
export const FIRST_SENT_HEADER = "tulle-first-sent";

/** How a verified peer appears to handlers, in Envoy's form. */
export const CLIENT_CERT_HEADER = "x-forwarded-client-cert";

/** The header in which a member tells how busy it is (ORCA's). */
export const LOAD_REPORT_HEADER = "endpoint-load-metrics";

/** The header by which a verified caller asks for {@link LOAD_REPORT_HEADER}, and in which format. */
export const LOAD_REPORT_FORMAT_HEADER = "endpoint-load-metrics-format";

/** The only format: `TEXT name=value,name=value`. */
export const LOAD_REPORT_FORMAT = "TEXT";

/** Those that carry meaning between members: only a verified peer of our own trust domain may say them. */
const exact: ReadonlySet<string> = new Set([
  CLIENT_CERT_HEADER,
  "grpc-timeout",
  LOAD_REPORT_HEADER,
  LOAD_REPORT_FORMAT_HEADER,
  "traceparent",
  "tracestate",
  "baggage",
  "x-request-id",
]);

/** Those that nobody may hand in, not even a peer: what they say is proven, not told. */
const alwaysOurs: ReadonlySet<string> = new Set([CLIENT_CERT_HEADER]);

/** Whether a lower-case header name is a control header. */
export const isControlHeader = (name: string): boolean =>
  name.startsWith("x-envoy-") || name.startsWith("tulle-") || exact.has(name);

const isControlButNoTrace = (name: string): boolean =>
  name !== "traceparent" && name !== "tracestate" && isControlHeader(name);

const isAlwaysOurs = (name: string): boolean => alwaysOurs.has(name);

/**
 * Takes control headers out of every view of a request: `headers`, `headersDistinct` and `rawHeaders`, and of its
 * trailers when they arrive.
 *
 * @param keepsTrace whether the trace's ids stay: they give no right, and whoever is inside the mesh's port may continue them.
 * @returns how many fields were taken out of the headers.
 */
export const stripStrangersHeaders = (request: IncomingMessage, keepsTrace: boolean): number => {
  stripTrailers(request, isControlHeader);
  return stripHeaders(request, keepsTrace ? isControlButNoTrace : isControlHeader);
};

/**
 * Replaces what a verified peer said of its own certificate by what was proven.
 *
 * @param stripped how many fields were taken out before.
 */
export const forwardPeer = (request: IncomingMessage, forwardedClientCert: string, stripped: number): void => {
  stripTrailers(request, isAlwaysOurs);
  const found = stripped + stripHeaders(request, isAlwaysOurs);
  request.headers[CLIENT_CERT_HEADER] = forwardedClientCert;
  request.rawHeaders.push(CLIENT_CERT_HEADER, forwardedClientCert);
  showDistinct(request, forwardedClientCert, found > 0);
};

/** Node builds this view when it is first read, by a count of fields that it took before; few handlers ever read it. */
const showDistinct = (request: IncomingMessage, forwardedClientCert: string, isBuilt: boolean): void => {
  // In HTTP/2 the view is ours from the beginning.
  if (isBuilt || isH2(request)) {
    request.headersDistinct[CLIENT_CERT_HEADER] = [forwardedClientCert];
    return;
  }
  countSymbol ??= Object.getOwnPropertySymbols(request).find(({ description }) => description === "kHeadersCount");
  // The count is Node's own, under a symbol that its types do not know; where it is no more, the view is built at once.
  const counted = request as unknown as Record<symbol, unknown>;
  if (countSymbol !== undefined && typeof counted[countSymbol] === "number") {
    counted[countSymbol] = request.rawHeaders.length;
    return;
  }
  request.headersDistinct[CLIENT_CERT_HEADER] = [forwardedClientCert];
};

/** Found with the first request. A property of our own for each of them would cost 5 µs, and slow down whatever reads the request. */
let countSymbol: symbol | undefined;

const stripHeaders = (request: IncomingMessage, unwanted: (name: string) => boolean): number =>
  takeHeadersOut(request, unwanted, mayBeControl);

/** On HTTP/1.1 only a chunked body has trailers. They are complete before anybody hears of the end, and this listener is the first. */
const stripTrailers = (request: IncomingMessage, unwanted: (name: string) => boolean): void => {
  if (isH2(request) ? streamOf(request)?.endAfterHeaders : request.headers["transfer-encoding"] === undefined) return;
  request.prependOnceListener("end", () => {
    takeFieldsOut(request.rawTrailers, () => [request.trailers, request.trailersDistinct], unwanted, mayBeControl);
  });
};

/** By the first letter alone, for most headers of most requests need no more. */
const mayBeControl = (name: string): boolean => {
  const letter = name.charCodeAt(0) | 0x20;
  return letter === 0x78 || letter === 0x74 || letter === 0x67 || letter === 0x65 || letter === 0x62;
};
