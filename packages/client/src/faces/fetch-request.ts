import { randomUUID } from "node:crypto";
import { Readable } from "node:stream";
import { BlobBody } from "../retry/replay-body.ts";
import type { Call, CallOptions } from "../send.ts";
import { encodeFormData } from "./encode-form-data.ts";
import { splitUrl, type UrlParts } from "./split-url.ts";

type GivenHeaders = NonNullable<RequestInit["headers"]>;

/** What `mesh.fetch` takes beside the standard's options. */
export interface MeshRequestInit extends RequestInit {
  readonly mesh?: CallOptions;
  /** Needed with a body that is a stream, as the standard has it. */
  readonly duplex?: "half";
}

/** A fetch as the mesh sees it. */
export interface FetchRequest {
  readonly origin: string;
  readonly path: string;
  readonly method: string;
  /** Flat: names and values. */
  readonly headers: string[];
  readonly body: Call["body"];
  readonly signal: AbortSignal | undefined;
  readonly redirect: "follow" | "manual" | "error";
  readonly options: CallOptions | undefined;
}

/** The fields of a `Request`, of whichever copy of the class. */
export type RequestLike = Pick<Request, "url" | "method" | "headers" | "body" | "bodyUsed" | "signal" | "redirect">;

/**
 * Reads what was given to fetch. Requests are known by their fields and not by their class: the built-in one and that of an
 * undici package are different classes, and an application may use both.
 *
 * @throws TypeError where the standard does.
 */
export const readRequest = (
  input: string | URL | RequestLike,
  { origin, path }: UrlParts,
  init: MeshRequestInit | undefined,
): FetchRequest => {
  const request = isRequest(input) ? input : undefined;
  if (init !== undefined) checkInit(init);
  const method = normalMethod(init?.method ?? request?.method ?? "GET");
  const headers = new FetchHeaders();
  const given = init?.headers ?? request?.headers;
  if (given !== undefined) headers.addAll(given as GivenHeaders);

  const raw = init?.body ?? undefined;
  const { body, type, length } = raw === undefined ? bodyOfRequest(request, init) : extractBody(raw, init?.duplex);
  if (body !== null && (method === "GET" || method === "HEAD")) {
    throw new TypeError("Request with GET/HEAD method cannot have body.");
  }
  headers.complete(type, length);
  return {
    origin,
    path,
    method,
    headers: headers.list,
    body,
    signal: init?.signal === null ? undefined : (init?.signal ?? request?.signal),
    redirect: init?.redirect ?? request?.redirect ?? "follow",
    options: init?.mesh,
  };
};

/** Where a fetch goes. @throws TypeError when that is no absolute URL, or one with a password. */
export const urlOf = (input: string | URL | RequestLike): UrlParts => {
  // Whatever else is given is a URL once it is text, as the standard has it.
  const url = isRequest(input) ? input.url : String(input);
  if (url.includes("@")) refuseCredentials(url);
  try {
    return splitUrl(url);
  } catch (cause) {
    throw new TypeError(`Failed to parse URL from ${url}`, { cause });
  }
};

/** Names and passwords in a URL would be logged wherever it is. */
const refuseCredentials = (url: string): void => {
  const parsed = URL.parse(url);
  if (parsed !== null && (parsed.username !== "" || parsed.password !== "")) {
    throw new TypeError(`Request cannot be constructed from a URL that includes credentials: ${url}`);
  }
};

const isRequest = (input: string | URL | RequestLike): input is RequestLike =>
  typeof input === "object" && input !== null && "url" in input && typeof input.url === "string";

const redirectModes: ReadonlySet<unknown> = new Set([undefined, "follow", "manual", "error"]);

/** What would otherwise be taken for something else. */
const checkInit = ({ redirect, signal, integrity }: MeshRequestInit): void => {
  if (!redirectModes.has(redirect)) {
    throw new TypeError(`RequestInit: ${redirect} is not an accepted redirect. Expected one of follow, manual, error.`);
  }
  if (signal !== undefined && signal !== null && typeof signal.addEventListener !== "function") {
    throw new TypeError("RequestInit: Expected signal to be an instance of AbortSignal.");
  }
  if (integrity !== undefined && integrity !== "") {
    throw new TypeError(
      "RequestInit: integrity is not checked by mesh.fetch; call the built-in fetch with { dispatcher: mesh.fetchDispatcher }.",
    );
  }
};

const standardMethods: ReadonlySet<string> = new Set(["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"]);
const forbiddenMethods: ReadonlySet<string> = new Set(["CONNECT", "TRACE", "TRACK"]);
const token = /^[!#$%&'*+\-.^_`|~\dA-Za-z]+$/;

const normalMethod = (method: string): string => {
  if (standardMethods.has(method)) return method;
  const upperCase = method.toUpperCase();
  if (standardMethods.has(upperCase)) return upperCase;
  if (!token.test(method) || forbiddenMethods.has(upperCase))
    throw new TypeError(`'${method}' is not a valid HTTP method.`);
  return method;
};

/** Bits for the headers that fetch adds where the caller has not. */
const ACCEPT = 1;
const ACCEPT_LANGUAGE = 2;
const USER_AGENT = 4;
const ACCEPT_ENCODING = 8;
const CONTENT_TYPE = 16;
const RANGE = 32;
const noticed: ReadonlyMap<string, number> = new Map([
  ["accept", ACCEPT],
  ["accept-language", ACCEPT_LANGUAGE],
  ["user-agent", USER_AGENT],
  ["accept-encoding", ACCEPT_ENCODING],
  ["content-type", CONTENT_TYPE],
  ["range", RANGE],
]);

/** Builds the header list that the built-in fetch would send. */
class FetchHeaders {
  readonly list: string[] = [];
  #seen = 0;

  addAll(headers: GivenHeaders): void {
    if (Symbol.iterator in headers) {
      for (const pair of headers as Iterable<Iterable<string>>) {
        const [name, value, ...more] = pair;
        if (name === undefined || value === undefined || more.length > 0) {
          throw new TypeError("Headers constructor: expected name/value pair to be length 2");
        }
        this.#add(name, value);
      }
      return;
    }
    // What is left of the standard's type: an object of names and values.
    const record = headers as Record<string, string>;
    for (const name of Object.keys(record)) this.#add(name, record[name]);
  }

  #add(name: string, value: unknown): void {
    if (!token.test(name)) throw new TypeError(`Headers.append: ${name} is an invalid header name.`);
    const text = normalValue(typeof value === "string" ? value : String(value));
    if (invalidValue.test(text)) throw new TypeError(`Headers.append: "${text}" is an invalid header value.`);
    // The host is the URL's: the header of a request that is handed on belongs to another hop.
    if (name.length === HOST.length && name.toLowerCase() === HOST) return;
    this.#seen |= noticed.get(name) ?? noticed.get(name.toLowerCase()) ?? 0;
    this.list.push(name, text);
  }

  /** Adds what the built-in fetch adds, in its order. */
  complete(contentType: string | undefined, contentLength: number | undefined): void {
    const { list } = this;
    if (contentType !== undefined && (this.#seen & CONTENT_TYPE) === 0) list.push("content-type", contentType);
    if ((this.#seen & ACCEPT) === 0) list.push("accept", "*/*");
    if ((this.#seen & ACCEPT_LANGUAGE) === 0) list.push("accept-language", "*");
    list.push("sec-fetch-mode", "cors");
    if ((this.#seen & USER_AGENT) === 0) list.push("user-agent", "node");
    if ((this.#seen & ACCEPT_ENCODING) === 0) {
      // A part of a coded body cannot be decoded.
      list.push("accept-encoding", (this.#seen & RANGE) === 0 ? "gzip, deflate" : "identity");
    }
    if (contentLength !== undefined) list.push("content-length", String(contentLength));
  }
}

const HOST = "host";

const invalidValue = /[\0\r\n]|[^\0-\xff]/;

const normalValue = (value: string): string => value.replace(/^[\t\n\r ]+|[\t\n\r ]+$/g, "");

interface ExtractedBody {
  readonly body: Call["body"];
  readonly type: string | undefined;
  /** Where it is known and undici cannot know it. */
  readonly length: number | undefined;
}

const noBody: ExtractedBody = { body: null, type: undefined, length: undefined };

/** A request's own body is a stream; its content type is among its headers. */
const bodyOfRequest = (request: RequestLike | undefined, init: MeshRequestInit | undefined): ExtractedBody => {
  if (request === undefined || init?.body === null || request.body === null || request.body === undefined)
    return noBody;
  if (request.bodyUsed)
    throw new TypeError("Cannot construct a Request with a Request object that has already been used.");
  refuseUsed(request.body);
  return { body: request.body as unknown as Call["body"], type: undefined, length: undefined };
};

/** @throws TypeError for a stream that somebody has read from, of which only a rest would be sent. */
const refuseUsed = (body: object): void => {
  if (body instanceof ReadableStream && (body.locked || Readable.isDisturbed(body as unknown as Readable))) {
    throw new TypeError("Response body object should not be disturbed or locked");
  }
};

const ofBlob = (blob: Blob, type: string | undefined): ExtractedBody => ({
  // undici takes any async iterable, which its type does not tell.
  body: new BlobBody(blob) as unknown as Call["body"],
  type,
  length: blob.size,
});

/** "Extract a body" of the standard. Strings and bytes stay what they are, so that an attempt can send them again. */
const extractBody = (body: NonNullable<RequestInit["body"]>, duplex: "half" | undefined): ExtractedBody => {
  if (typeof body === "string") return { body, type: "text/plain;charset=UTF-8", length: undefined };
  if (body instanceof URLSearchParams) {
    return { body: body.toString(), type: "application/x-www-form-urlencoded;charset=UTF-8", length: undefined };
  }
  // Copied, as the standard has it: the caller may go on writing to it.
  if (ArrayBuffer.isView(body)) {
    return {
      body: Buffer.copyBytesFrom(new Uint8Array(body.buffer, body.byteOffset, body.byteLength)),
      type: undefined,
      length: undefined,
    };
  }
  if (body instanceof ArrayBuffer || body instanceof SharedArrayBuffer) {
    return { body: Buffer.copyBytesFrom(new Uint8Array(body)), type: undefined, length: undefined };
  }
  if (body instanceof Blob) {
    const type = body.type === "" ? undefined : body.type;
    return ofBlob(body, type);
  }
  if (body instanceof FormData) {
    const { blob, type } = encodeFormData(body, randomUUID());
    return ofBlob(blob, type);
  }
  if (typeof body === "object" && Symbol.asyncIterator in body) {
    refuseUsed(body);
    if (duplex !== "half") throw new TypeError("RequestInit: duplex option is required when sending a body.");
    return { body: body as unknown as Call["body"], type: undefined, length: undefined };
  }
  return { body: String(body), type: "text/plain;charset=UTF-8", length: undefined };
};
