import type { IncomingMessage } from "node:http";
import { constants, type Http2ServerRequest, type ServerHttp2Stream } from "node:http2";

const COLON = 0x3a;

/** The stream that a request came in by, where it came in HTTP/2. */
export const streamOf = (message: object): ServerHttp2Stream | undefined =>
  (message as Partial<Http2ServerRequest>).stream;

/**
 * Makes a request in HTTP/2 look as it would in HTTP/1.1: its authority is its `host`, and headers hold no pseudo-headers, which
 * a handler might send on. One that names two hosts, or none, is malformed (RFC 9113, 8.3.1): rules could see another than the
 * handler, so its stream is ended. So is that of a method in lower case, which HTTP/1.1's parser does not let through either: some
 * handlers take `delete` for `DELETE`, and rules do not.
 *
 * @returns whether it may be served.
 */
export const presentAsHttp1 = (request: IncomingMessage): boolean => {
  const { ":authority": authority, host } = request.headers as Readonly<Record<string, string | undefined>>;
  const raw = request.rawHeaders;
  const hosts = raw.filter((name, at) => at % 2 === 0 && name === "host").length;
  const named = authority === undefined || authority === "" ? host : authority;
  const twice = hosts > 1 || (host !== undefined && host !== named);
  if (named === undefined || named === "" || twice || /[a-z]/.test(request.method ?? "")) {
    streamOf(request)?.close(constants.NGHTTP2_PROTOCOL_ERROR);
    return false;
  }
  const headers: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    if (name.charCodeAt(0) !== COLON) headers[name] = value;
  }
  headers.host = named;
  // The prototype's own is read only and holds what Node.js reads method and path from.
  Object.defineProperty(request, "headers", { value: headers, writable: true, enumerable: true, configurable: true });
  const kept: string[] = hosts === 0 ? ["host", named] : [];
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] ?? "";
    if (name.charCodeAt(0) !== COLON) kept.push(name, raw[at + 1] ?? "");
  }
  raw.splice(0, raw.length, ...kept);
  showDistinct(request, "headersDistinct", raw);
  showDistinct(request, "trailersDistinct", request.rawTrailers);
  return true;
};

/** The views that requests in HTTP/1.1 have and those in HTTP/2 have not: built when they are first read. */
const showDistinct = (
  request: IncomingMessage,
  view: "headersDistinct" | "trailersDistinct",
  raw: readonly string[],
): void => {
  let built: Record<string, string[]> | undefined;
  Object.defineProperty(request, view, {
    configurable: true,
    get() {
      if (built !== undefined) return built;
      // Without a prototype, as Node's own: a header may be called "constructor".
      built = Object.create(null) as Record<string, string[]>;
      for (let at = 0; at < raw.length; at += 2) {
        const name = raw[at] ?? "";
        built[name] ??= [];
        built[name].push(raw[at + 1] ?? "");
      }
      return built;
    },
  });
};
