import type { FetchKeys } from "@tulle/server";

/** What is used of a `fetch`. */
type Fetch = (
  url: string,
  init: {
    readonly redirect: "manual";
    readonly signal: AbortSignal;
    readonly headers: Readonly<Record<string, string>>;
  },
) => Promise<Pick<Response, "status" | "body">>;

/**
 * Fetches keys as any call of the member goes: an address inside the mesh over mTLS, one outside by the built-in fetch or as an
 * `ExternalService` says. A redirect is no answer: where keys come from is for the policy to say alone.
 */
export const fetchKeysBy =
  (fetch: Fetch): FetchKeys =>
  async (uri, { signal, maxBytes }) => {
    const { status, body } = await fetch(uri, { redirect: "manual", signal, headers: { accept: "application/json" } });
    if (status !== 200) {
      await body?.cancel();
      throw new Error(`it answered with status ${status}`);
    }
    return readWithin(body, maxBytes);
  };

/** @throws Error when there is more. */
const readWithin = async (body: Response["body"], maxBytes: number): Promise<string> => {
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop early cancels the rest of the body.
  for await (const chunk of body ?? []) {
    length += chunk.length;
    if (length > maxBytes) throw new Error(`its answer is longer than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
};
