import type { IncomingMessage } from "node:http";
import { AdminFailure } from "./admin-failure.ts";

/** Largest body of a request to the admin API. */
export const MAX_ADMIN_BODY_BYTES: number = 4 * 1024 * 1024;

/**
 * Reads a request's body as JSON.
 *
 * @throws AdminFailure 415 `unsupported-media-type`, 413 `too-large`, 400 `bad-json`.
 */
export const readJsonBody = async (request: IncomingMessage): Promise<unknown> => {
  const type = request.headers["content-type"]?.split(";", 1)[0]?.trim().toLowerCase();
  if (type !== "application/json") {
    throw new AdminFailure(415, {
      error: "unsupported-media-type",
      message: `the body is ${type ?? "of no type"}; send content-type: application/json`,
    });
  }
  if (Number(request.headers["content-length"] ?? 0) > MAX_ADMIN_BODY_BYTES) throw tooLarge();
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    // No encoding was set, so chunks are buffers.
    const buffer = chunk as Buffer;
    bytes += buffer.length;
    if (bytes > MAX_ADMIN_BODY_BYTES) throw tooLarge();
    chunks.push(buffer);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch (error) {
    throw new AdminFailure(400, {
      error: "bad-json",
      message: `the body is not JSON: ${error instanceof Error ? error.message : String(error)}`,
    });
  }
};

// The rest of the body is not read, so the connection cannot be used again.
const tooLarge = (): AdminFailure =>
  new AdminFailure(
    413,
    { error: "too-large", message: `the body is larger than ${MAX_ADMIN_BODY_BYTES} bytes: apply in parts` },
    { connection: "close" },
  );
