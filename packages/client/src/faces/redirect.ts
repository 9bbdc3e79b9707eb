/** Redirects that are followed before a call fails (WHATWG fetch). */
export const MAX_REDIRECTS = 20;

const redirectStatuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** Where a reply sends its caller, and how the next request differs. Pure; follows "HTTP-redirect fetch" of the standard. */
export interface Redirect {
  readonly url: URL;
  readonly method: string;
  /** The body is not sent again. */
  readonly dropsBody: boolean;
  /** Credentials stay with the origin that they were meant for. */
  readonly dropsCredentials: boolean;
}

/** Whether a reply is a redirect, if it says where to. */
export const isRedirect = (status: number): boolean => redirectStatuses.has(status);

/** @throws TypeError when the location cannot be followed. */
export const redirectTo = (from: URL, method: string, status: number, location: string): Redirect => {
  // Raw bytes of a header are read as Latin-1, but servers write UTF-8.
  const url = URL.parse(Buffer.from(location, "latin1").toString("utf8"), from.href);
  if (url === null)
    throw new TypeError("fetch failed", { cause: new Error(`the redirect to "${location}" is no URL`) });
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new TypeError("fetch failed", { cause: new Error(`the redirect to ${url.protocol} cannot be followed`) });
  }
  if (url.hash === "") url.hash = from.hash;
  const toGet = (status === 303 && method !== "GET" && method !== "HEAD") || (status <= 302 && method === "POST");
  return { url, method: toGet ? "GET" : method, dropsBody: toGet, dropsCredentials: url.origin !== from.origin };
};

const bodyHeaders: ReadonlySet<string> = new Set([
  "content-encoding",
  "content-language",
  "content-length",
  "content-location",
  "content-type",
]);
const credentialHeaders: ReadonlySet<string> = new Set(["authorization", "cookie", "proxy-authorization"]);

/** The flat list of headers that the next request carries. */
export const headersAfter = ({ dropsBody, dropsCredentials }: Redirect, headers: readonly string[]): string[] => {
  const kept: string[] = [];
  for (let at = 0; at + 1 < headers.length; at += 2) {
    const name = headers[at] ?? "";
    const lowerCase = name.toLowerCase();
    if (dropsBody && bodyHeaders.has(lowerCase)) continue;
    if (dropsCredentials && credentialHeaders.has(lowerCase)) continue;
    kept.push(name, headers[at + 1] ?? "");
  }
  return kept;
};
