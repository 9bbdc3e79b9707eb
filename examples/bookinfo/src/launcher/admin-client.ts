import { readFile } from "node:fs/promises";
import { Agent, type RequestOptions, request } from "node:https";
import { text } from "node:stream/consumers";
import type { Policy } from "@tulle/policy";
import type { ApplyRequest, ApplyResult } from "@tulle/protocol";

/** The config-server's admin API, as the command line uses it too. */
export interface AdminClient {
  get<Answer>(path: string): Promise<Answer>;
  post<Answer>(path: string, body: object): Promise<Answer>;
  /** All policies as one revision, or none of them. */
  apply(policies: readonly Policy[], message: string): Promise<ApplyResult>;
  close(): void;
}

const LIMIT_MS = 10_000;

/** Reads the address, the token and the CA from the file that the config-server wrote for its administrators. */
export const openAdmin = async (adminFile: string): Promise<AdminClient> => {
  // Written by our own config-server, mode 0600.
  const { url, token, ca } = JSON.parse(await readFile(adminFile, "utf8")) as {
    url: string;
    token: string;
    ca: string;
  };
  const agent = new Agent({ keepAlive: true, ca });

  const ask = async <Answer>(method: string, path: string, body?: object): Promise<Answer> => {
    const sent = body === undefined ? undefined : JSON.stringify(body);
    const { status, content } = await send(new URL(path, url), sent, {
      method,
      agent,
      signal: AbortSignal.timeout(LIMIT_MS),
      headers: {
        authorization: `Bearer ${token}`,
        ...(sent === undefined
          ? {}
          : { "content-type": "application/json", "content-length": Buffer.byteLength(sent) }),
      },
    });
    if (status >= 300) throw new Error(`${method} ${path} answered ${status}: ${content}`);
    // The shapes of the admin API are promised by @tulle/protocol.
    return JSON.parse(content) as Answer;
  };

  return {
    get: (path) => ask("GET", path),
    post: (path, body) => ask("POST", path, body),
    apply: (policies, message) => ask("POST", "/v1/apply", { policies, message } satisfies ApplyRequest),
    close: () => agent.destroy(),
  };
};

const send = (
  url: URL,
  body: string | undefined,
  options: RequestOptions,
): Promise<{ readonly status: number; readonly content: string }> =>
  new Promise((resolve, reject) => {
    const sending = request(url, options, (response) => {
      text(response).then((content) => resolve({ status: response.statusCode ?? 0, content }), reject);
    });
    sending.on("error", reject);
    sending.end(body);
  });
