import { type EffectiveHttpCheck, MAX_HEALTH_CHECK_BYTES } from "@tulle/policy";
import type { Client, Dispatcher } from "undici";
import type { Connect } from "../transport/connector.ts";
import { DEGRADED_HEADER } from "../transport/control-headers.ts";
import { undici } from "../transport/undici.ts";
import type { CheckResult } from "./health-record.ts";

/**
 * Sends one request over a new connection and judges the answer. A connection that was kept would not tell that new ones are
 * refused, and might be closed by the server at the moment of the check.
 */
export const checkHttp = async (
  connect: Connect,
  check: EffectiveHttpCheck,
  signal: AbortSignal,
): Promise<CheckResult> => {
  // The scheme is the connector's matter: undici would otherwise look at TLS names of its own.
  const client = new undici.Client("http://health.check", {
    pipelining: 1,
    allowH2: false,
    // The checker's own clock ends a check that takes too long.
    headersTimeout: 0,
    bodyTimeout: 0,
    // Typed for undici's own connectors; both arguments are called as it calls them.
    connect: connect as NonNullable<Client.Options["connect"]>,
  });
  try {
    const { statusCode, headers, body } = await client.request({
      path: check.path,
      // Any method is allowed; undici's type names those that it knows.
      method: check.method as Dispatcher.HttpMethod,
      headers: { "user-agent": "tulle-health-check", ...check.headers, host: check.host },
      signal,
    });
    body.on("error", () => undefined);
    if (check.retriableStatuses.has(statusCode)) return "failed";
    if (!check.expectedStatuses.has(statusCode)) return "unhealthy";
    if (check.body !== undefined && !(await startContains(body, Buffer.from(check.body)))) return "unhealthy";
    return headers[DEGRADED_HEADER] === undefined ? "passed" : "degraded";
  } catch {
    return "failed";
  } finally {
    void client.destroy().catch(() => undefined);
  }
};

/** Whether the first bytes of a body contain the sought ones. Reads no further than it must. */
const startContains = async (body: AsyncIterable<Buffer>, sought: Buffer): Promise<boolean> => {
  let read = Buffer.alloc(0);
  for await (const chunk of body) {
    read = Buffer.concat([read, chunk]).subarray(0, MAX_HEALTH_CHECK_BYTES);
    if (read.includes(sought)) return true;
    if (read.length === MAX_HEALTH_CHECK_BYTES) return false;
  }
  return false;
};
