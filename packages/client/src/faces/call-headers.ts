import type { Dispatcher } from "undici";

/** Headers that the mesh writes itself; what a caller forwards of them belongs to another hop. */
const owned: ReadonlySet<string> = new Set([
  "x-envoy-expected-rq-timeout-ms",
  "x-envoy-attempt-count",
  "tulle-refused",
  "tulle-drain",
  "tulle-retried",
  "tulle-first-sent",
  "tulle-error",
]);
/** Lengths of the names that need a closer look, so that most headers are dismissed by a number. */
const watchedLengths: ReadonlySet<number> = new Set([...owned, "host", "content-length"].map((name) => name.length));

/** A caller's headers in the mesh's form. */
export interface CallHeaders {
  /** Flat: names and values. */
  readonly list: string[];
  /** What the caller wants to be sent as Host, if it said so. */
  readonly host: string | undefined;
}

/**
 * Flattens the headers of an undici call. Control headers and Host are taken out, and a `content-length` that is said again
 * with the same value is said once: the built-in fetch of Node.js 22 adds its own to the caller's, which undici 8 refuses.
 */
export const flattenHeaders = (headers: Dispatcher.DispatchOptions["headers"]): CallHeaders => {
  const flat = new FlatHeaders();
  if (headers === null || headers === undefined) return flat;
  if (Array.isArray(headers)) {
    for (let at = 0; at + 1 < headers.length; at += 2) flat.add(String(headers[at]), headers[at + 1]);
  } else if (Symbol.iterator in headers) {
    for (const [name, value] of headers) flat.add(name, value);
  } else {
    for (const name of Object.keys(headers)) flat.add(name, headers[name]);
  }
  return flat;
};

class FlatHeaders implements CallHeaders {
  readonly list: string[] = [];
  host: string | undefined = undefined;
  #contentLength: string | undefined = undefined;

  add(name: string, value: string | number | readonly string[] | null | undefined): void {
    if (value === undefined) return;
    if (typeof value === "object" && value !== null) {
      for (const each of value) this.#addOne(name, each);
    } else {
      this.#addOne(name, typeof value === "string" ? value : value === null ? "" : String(value));
    }
  }

  #addOne(name: string, value: string): void {
    if (watchedLengths.has(name.length)) {
      const lowerCase = name.toLowerCase();
      if (owned.has(lowerCase)) return;
      if (lowerCase === "host") {
        this.host = value;
        return;
      }
      if (lowerCase === "content-length") {
        const length = saidOnce(value);
        if (this.#contentLength === length) return;
        this.#contentLength = length;
        this.list.push(name, length);
        return;
      }
    }
    this.list.push(name, value);
  }
}

/** `5, 5` is `5`; lengths that contradict each other stay as they are, to be refused. */
const saidOnce = (value: string): string => {
  if (!value.includes(",")) return value;
  const [first = value, ...others] = value.split(",").map((each) => each.trim());
  return others.every((each) => each === first) ? first : value;
};
