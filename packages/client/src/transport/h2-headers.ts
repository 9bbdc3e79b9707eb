import { undici } from "./undici.ts";

/** What a request is in the form of HTTP/2. */
export interface H2Request {
  /** Pseudo-headers first; names in lower case, several values as a list. */
  readonly headers: Record<string, string | string[]>;
  /** What the caller said of the body's length. */
  readonly contentLength: number | undefined;
}

/** Headers that speak of one connection and mean nothing in HTTP/2, or are said by a pseudo-header (RFC 9113, 8.2.2). */
const leftOut: ReadonlySet<string> = new Set([
  "host",
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
]);

const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

const unfitForValue = /[^\t\x20-\x7e\x80-\xff]/;

const unfitForPath = /[^\x21-\xff]/;

/**
 * Writes a request's flat list of headers as HTTP/2 has them, and refuses what undici refuses on HTTP/1.1.
 *
 * @param trailers whether `te: trailers` is said where the list does not: servers of gRPC want it.
 * @throws InvalidArgumentError, NotSupportedError of undici: the caller's mistake.
 */
export const toH2Request = (
  method: string,
  path: string,
  scheme: "http" | "https",
  list: readonly string[],
  trailers: boolean,
): H2Request => {
  if (!token.test(method)) throw new undici.errors.InvalidArgumentError("invalid request method");
  if (unfitForPath.test(path)) throw new undici.errors.InvalidArgumentError("invalid request path");
  const headers: Record<string, string | string[]> = {
    ":method": method,
    ":scheme": scheme,
    ":authority": "",
    ":path": path,
  };
  let nominated: ReadonlySet<string> | undefined;
  for (let at = 0; at < list.length; at += 2) {
    const name = (list[at] ?? "").toLowerCase();
    const value = list[at + 1] ?? "";
    if (!token.test(name)) throw new undici.errors.InvalidArgumentError(`invalid header name "${name}"`);
    if (unfitForValue.test(value)) throw new undici.errors.InvalidArgumentError(`invalid ${name} header`);
    if (name === "host") headers[":authority"] = value;
    else if (name === "expect") throw new undici.errors.NotSupportedError("expect header not supported");
    else if (name === "connection") nominated = new Set(value.toLowerCase().split(/\s*,\s*/));
    else if (!leftOut.has(name) && !(name === "te" && value.trim().toLowerCase() !== "trailers")) {
      const before = headers[name];
      headers[name] = before === undefined ? value : typeof before === "string" ? [before, value] : [...before, value];
    }
  }
  // What the connection's header names is of the connection too.
  for (const name of nominated ?? []) if (!name.startsWith(":") && name !== "te") delete headers[name];
  if (trailers) headers.te ??= "trailers";
  return { headers, contentLength: lengthIn(headers["content-length"]) };
};

const lengthIn = (value: string | string[] | undefined): number | undefined => {
  if (value === undefined) return undefined;
  if (typeof value === "string" && /^\d{1,15}$/.test(value)) return Number(value);
  throw new undici.errors.InvalidArgumentError("invalid content-length header");
};

/** A flat list of headers as HTTP/2 brings it, without its pseudo-headers. */
export const withoutPseudo = (raw: readonly string[]): string[] => {
  const kept: string[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? "";
    if (name.charCodeAt(0) !== COLON) kept.push(name, raw[at + 1] ?? "");
  }
  return kept;
};

const COLON = 0x3a;

/** A flat list of headers by their names, several values as a list: what undici makes of HTTP/1.1's. */
export const headersByName = (list: readonly string[]): Record<string, string | string[]> => {
  const headers: Record<string, string | string[]> = {};
  for (let at = 0; at + 1 < list.length; at += 2) {
    const name = list[at] ?? "";
    const value = list[at + 1] ?? "";
    const before = headers[name];
    if (before === undefined) headers[name] = value;
    else if (typeof before === "string") headers[name] = [before, value];
    else before.push(value);
  }
  return headers;
};
