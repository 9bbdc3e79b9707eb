import type { IncomingMessage } from "node:http";

type Views = () => readonly NodeJS.Dict<string | string[]>[];

const always = (): boolean => true;

/**
 * Takes header fields out of every view of a request: `headers`, `headersDistinct` and `rawHeaders`.
 *
 * @param unwanted asked with names in lower case.
 * @param mayBe a quick look at a name as it is written, for what few requests have.
 * @returns how many fields there were.
 */
export const takeHeadersOut = (
  request: IncomingMessage,
  unwanted: (name: string) => boolean,
  mayBe: (name: string) => boolean = always,
): number =>
  takeFieldsOut(
    request.rawHeaders,
    // Node builds this view when it is first read, by a count it took before: it must exist before the list shrinks.
    () => [request.headers, request.headersDistinct],
    unwanted,
    mayBe,
  );

/** Whether a request came in HTTP/2, where any body may have trailers. */
export const isH2 = ({ httpVersionMajor }: IncomingMessage): boolean => httpVersionMajor >= 2;

/** Takes fields out of the trailers when they arrive: complete before anybody hears of the end, and this listener is the first. */
export const takeTrailersOut = (request: IncomingMessage, unwanted: (name: string) => boolean): void => {
  // On HTTP/1.1 only a chunked body has trailers.
  if (request.headers["transfer-encoding"] === undefined && !isH2(request)) return;
  request.prependOnceListener("end", () => {
    takeFieldsOut(request.rawTrailers, () => [request.trailers, request.trailersDistinct], unwanted);
  });
};

/** Adds a header to every view of a request; there must be none of its name. */
export const addHeader = (request: IncomingMessage, name: string, value: string): void => {
  // Both views must exist before the list grows.
  const { headers, headersDistinct } = request;
  headers[name] = value;
  headersDistinct[name] = [value];
  request.rawHeaders.push(name, value);
};

/** Takes fields out of a flat list and its views. */
export const takeFieldsOut = (
  raw: string[],
  views: Views,
  unwanted: (name: string) => boolean,
  mayBe: (name: string) => boolean = always,
): number => {
  let found: string[] | undefined;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] ?? "";
    if (!mayBe(name)) continue;
    const lower = name.toLowerCase();
    if (unwanted(lower)) {
      found ??= [];
      found.push(lower);
    }
  }
  if (found === undefined) return 0;
  for (const view of views()) {
    for (const name of found) delete view[name];
  }
  const kept: string[] = [];
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at] ?? "";
    if (!unwanted(name.toLowerCase())) kept.push(name, raw[at + 1] ?? "");
  }
  raw.splice(0, raw.length, ...kept);
  return found.length;
};
