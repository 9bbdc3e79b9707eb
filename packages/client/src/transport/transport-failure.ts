import { MeshError, type MeshErrorCode } from "@tulle/policy";
import { failCall } from "../failure.ts";
import type { Call } from "../send.ts";
import { errorCodeOf } from "./error-code.ts";
import { undici } from "./undici.ts";

/** How far a request had come when it failed. */
export type FailedAt = "queued" | "sent" | "replying";

/** What undici and Node.js call a request that cannot be sent as it is: the caller's mistake, whatever the peer does. */
const invalidCall = new Set([
  "UND_ERR_INVALID_ARG",
  "UND_ERR_REQ_CONTENT_LENGTH_MISMATCH",
  "UND_ERR_NOT_SUPPORTED",
  "ERR_HTTP2_HEADER_SINGLE_VALUE",
  "ERR_HTTP2_INVALID_CONNECTION_HEADERS",
  "ERR_HTTP2_INVALID_HEADER_VALUE",
  "ERR_HTTP2_INVALID_PSEUDOHEADER",
]);

/** A reply that breaks the protocol. */
const brokenReply = new Set([
  "UND_ERR_HEADERS_OVERFLOW",
  "UND_ERR_RES_CONTENT_LENGTH_MISMATCH",
  "UND_ERR_RES_EXCEEDED_MAX_SIZE",
]);

/** What ends a connection. */
const terminated = new Set([
  "ECONNRESET",
  "EPIPE",
  "ECONNABORTED",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_SOCKET",
  "UND_ERR_INFO",
  "UND_ERR_CLOSED",
  "UND_ERR_DESTROYED",
]);

/** Whether an error, by its code, is the end of a connection. */
export const isTerminated = (code: string | undefined): boolean =>
  code !== undefined && (terminated.has(code) || code.startsWith("ERR_HTTP2_"));

const certificateAlert = /^ERR_SSL_.*ALERT_(?:.*CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE|ACCESS_DENIED)/;

/**
 * The peer's word that it does not accept our certificate. In TLS 1.3 it comes when our side has finished the handshake and
 * may have sent a request; the peer has not read it, for these alerts exist only within its part of the handshake.
 */
export const isCertificateRefused = (code: string | undefined): boolean =>
  code !== undefined && certificateAlert.test(code);

/**
 * What a transport's error means for the call: a {@link MeshError} with the error as its cause. Errors that the mesh does
 * not know, such as those of the caller's own body stream, come back as they are.
 */
export const transportFailure = (
  call: Call,
  error: unknown,
  at: FailedAt,
  endpoint: { readonly where: string; readonly mtls: boolean },
): unknown => {
  // The connector's own findings; its error is shared by every call that waited for that connection.
  if (error instanceof MeshError)
    return failCall(call, error.code, withoutCode(error), { cause: error.cause ?? error });
  const code = errorCodeOf(error);
  const unparsable = error instanceof undici.errors.HTTPParserError;
  if (code === undefined && !unparsable) return error;
  const fail = (meshCode: MeshErrorCode, message: string, hint?: string): MeshError =>
    failCall(call, meshCode, message, hint === undefined ? { cause: error } : { cause: error, hint });
  if (code !== undefined && invalidCall.has(code))
    return fail(
      "INVALID_CALL",
      `the request cannot be sent: ${messageOf(error)}`,
      code === "UND_ERR_NOT_SUPPORTED" ? "node:http with mesh.agent can wait for 100-continue" : undefined,
    );
  if (code === undefined || unparsable || brokenReply.has(code)) {
    return fail("REPLY_BROKEN", `the reply of ${endpoint.where} breaks the protocol: ${messageOf(error)}`);
  }
  if (!code.startsWith("ERR_SSL_") && !isTerminated(code))
    return at === "queued" ? fail("CONNECT_FAILED", `no connection to ${endpoint.where} (${code})`) : error;
  // One stream of many may end alone, and its end has a reason of its own.
  const how = code.startsWith("ERR_HTTP2_") ? messageOf(error) : code;
  switch (at) {
    case "queued":
      return fail(
        "CONNECT_FAILED",
        `the connection to ${endpoint.where} was closed before the request could use it (${how})`,
      );
    case "sent":
      return fail(
        "CONNECTION_TERMINATED",
        `${endpoint.where} closed the connection before it answered (${how})`,
        endpoint.mtls ? "with TLS 1.3 also when the peer refused our certificate" : undefined,
      );
    case "replying":
      return fail("REPLY_BROKEN", `the body of the reply of ${endpoint.where} broke off (${how})`);
  }
};

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** The sentence of a mesh error; its code and its way are said anew by the error around it. */
const withoutCode = (error: MeshError): string => error.message.slice(error.code.length + 2);
