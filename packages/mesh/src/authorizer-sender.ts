import type { Client } from "@tulle/client";
import type { SendToAuthorizer } from "@tulle/server";

/** Longest answer that is handed on to a caller; an authorizer that says more has not answered. */
const LONGEST_ANSWER = 65_536;

/**
 * Asks authorizers as any call of the member goes: one inside the mesh over mTLS, one outside as it is. Once each, for a repeated
 * question would spend the time of the one that waits; redirects are answers and not followed.
 */
export const authorizerSender =
  (client: Pick<Client, "request">): SendToAuthorizer =>
  async ({ method, url, headers, signal }) => {
    const {
      statusCode,
      headers: answered,
      body,
    } = await client.request(url, {
      method,
      headers: { ...headers },
      signal,
      mesh: { retry: false, hedge: false, localReplies: "error" },
    });
    const chunks: Uint8Array[] = [];
    let length = 0;
    // Leaving the loop early ends the body.
    for await (const chunk of body) {
      // Nobody has set an encoding on it.
      const bytes = chunk as Uint8Array;
      length += bytes.byteLength;
      if (length > LONGEST_ANSWER) throw new Error(`its answer is longer than ${LONGEST_ANSWER} bytes`);
      chunks.push(bytes);
    }
    return { status: statusCode, headers: answered, body: Buffer.concat(chunks) };
  };
