import type { MeshError } from "@tulle/policy";
import { LocalReply } from "../local-reply.ts";
import type { Call, CallOptions } from "../send.ts";

/** Tells a reply that stands for a failure of the mesh: its code. */
export const ERROR_HEADER = "tulle-error";

/** What is known of the call that failed; one that never began has no rule. */
export interface FailedCall {
  readonly method: string;
  readonly failureHeaders?: Call["failureHeaders"];
}

/** Says a failure of the mesh as a proxy would: its status, its message as text, its code in a header. */
export const failureReply = (error: MeshError, { method, failureHeaders }: FailedCall): LocalReply => {
  const headers = ["content-type", "text/plain; charset=utf-8", ERROR_HEADER, error.code];
  return new LocalReply({
    method,
    status: error.status,
    headers: failureHeaders?.(headers) ?? headers,
    body: Buffer.from(error.message),
  });
};

/** Whether a call wants failures of the mesh as answers. */
export const wantsReply = (options: CallOptions, byDefault: "error" | "response"): boolean =>
  (options.localReplies ?? byDefault) === "response";
