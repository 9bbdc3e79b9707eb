import { type IncomingMessage, request as requestPlain } from "node:http";
import { request as requestTls } from "node:https";
import type { Clock } from "@tulle/time";

/** A document that is fetched from an issuer. */
export interface JsonRequest {
  readonly url: string;
  /** PEM roots. @default Node's */
  readonly ca?: string | undefined;
  /** Sent as `authorization: Bearer`. */
  readonly bearer?: string | undefined;
  readonly clock: Clock;
  /** For the whole exchange, milliseconds. */
  readonly timeoutMs: number;
  readonly maxBytes: number;
  readonly signal: AbortSignal;
}

/**
 * Gets a JSON document: one request on a connection of its own, with a time limit for the whole and a bound for its size.
 * Redirects are not followed: they could lead to whoever answers for another name.
 *
 * @throws Error that names the address and what was wrong.
 */
export const fetchJson = (asked: JsonRequest): Promise<unknown> =>
  new Promise((resolve, reject) => {
    const { url, ca, bearer, clock, timeoutMs, maxBytes, signal } = asked;
    const options = {
      agent: false as const,
      headers: { accept: "application/json", ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }) },
      ...(ca === undefined ? {} : { ca }),
    };
    const request = url.startsWith("https:") ? requestTls(url, options) : requestPlain(url, options);
    const settle = (): void => {
      timer.cancel();
      signal.removeEventListener("abort", onAbort);
    };
    const fail = (reason: string, cause?: unknown): void => {
      settle();
      request.destroy();
      reject(new Error(`${url}: ${reason}`, { cause }));
    };
    const timer = clock.after(timeoutMs, () => fail(`no whole answer within ${timeoutMs} ms`));
    const onAbort = (): void => fail("the config-server closes");
    signal.addEventListener("abort", onAbort, { once: true });
    request.on("error", (error) => fail(error.message, error));
    request.on("response", (response) => {
      read(response, maxBytes).then(
        (document) => {
          settle();
          resolve(document);
        },
        (error: unknown) => fail(error instanceof Error ? error.message : String(error), error),
      );
    });
    if (signal.aborted) onAbort();
    request.end();
  });

const read = async (response: IncomingMessage, maxBytes: number): Promise<unknown> => {
  const status = response.statusCode ?? 0;
  if (status >= 300 && status < 400) throw new Error(`it answered ${status}, and redirects are not followed`);
  if (status !== 200) throw new Error(`it answered ${status}`);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    // No encoding was set, so chunks are buffers.
    const buffer = chunk as Buffer;
    bytes += buffer.length;
    if (bytes > maxBytes) throw new Error(`its answer has more than ${maxBytes} bytes`);
    chunks.push(buffer);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    throw new Error("its answer is no JSON");
  }
};
