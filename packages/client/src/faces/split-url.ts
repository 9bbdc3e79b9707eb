/** The parts of a URL that a call needs. */
export interface UrlParts {
  /** Scheme and authority, as they were written. */
  readonly origin: string;
  /** Path and query, beginning with "/". */
  readonly path: string;
}

/** What `new URL` would leave as it is: no character to encode, no dot segment, no fragment. */
const settled = /^\/[\w\-.~!$&()*+,;=:@%/?]*$/;
const dotSegment = /\/(?:\.|%2e)/i;

/**
 * Splits an absolute URL. Most URLs need no more than two cuts; whatever could need encoding or normalising goes through
 * `URL`, which costs as much as the rest of a call's routing.
 *
 * @throws TypeError when the text is no absolute URL.
 */
export const splitUrl = (url: string | URL): UrlParts => {
  if (typeof url === "string") {
    const hostAt = url.indexOf("://") + 3;
    if (hostAt > 3) {
      const pathAt = url.indexOf("/", hostAt);
      const origin = pathAt < 0 ? url : url.slice(0, pathAt);
      const path = pathAt < 0 ? "/" : url.slice(pathAt);
      if (plainOrigin.test(origin) && settled.test(path) && !dotSegment.test(path)) return { origin, path };
    }
  }
  const parsed = typeof url === "string" ? new URL(url) : url;
  return { origin: parsed.origin === "null" ? parsed.href : parsed.origin, path: parsed.pathname + parsed.search };
};

/** No user, password, query or fragment. */
const plainOrigin = /^https?:\/\/[\w\-.]+(?::\d+)?$/;
