import type { IncomingMessage } from "node:http";
import { AdminFailure } from "./admin-failure.ts";

/**
 * Refuses what a web page made a browser send. The API has no pages of its own, so whatever says that it comes from one is
 * somebody else's; and a name that this server does not have is one that was bent to its address (DNS rebinding).
 *
 * @param hosts names and addresses of the server's certificate.
 * @throws AdminFailure 400 `bad-request` for two hosts or tokens, 421 `wrong-host`, 403 `cross-site`.
 */
export const checkOrigin = ({ headers, headersDistinct }: IncomingMessage, hosts: ReadonlySet<string>): void => {
  for (const name of ["host", "authorization"]) {
    // Node takes the first; who reads the last would see another request.
    if ((headersDistinct[name]?.length ?? 0) > 1) {
      const message = `the header ${name} comes more than once`;
      throw new AdminFailure(400, { error: "bad-request", message }, { connection: "close" });
    }
  }
  const host = hostName(headers.host ?? "");
  if (host === undefined || !hosts.has(host)) {
    throw new AdminFailure(421, {
      error: "wrong-host",
      message: `"${(headers.host ?? "").slice(0, 200)}" is no name of this config-server: name it in hosts (TULLE_HOSTS)`,
    });
  }
  const site = headers["sec-fetch-site"];
  if (headersDistinct.origin !== undefined || (site !== undefined && site !== "none")) {
    throw new AdminFailure(403, { error: "cross-site", message: "web pages may not ask the admin API" });
  }
};

const hostName = (host: string): string | undefined =>
  /^(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::\d{1,5})?$/i
    .exec(host)?.[1]
    ?.toLowerCase()
    .replace(/^\[|\]$/g, "");
