import { STATUS_CODES } from "node:http";
import type { MeshError } from "@tulle/policy";
import type { CallOptions } from "../send.ts";

/** Tells a reply that the mesh made itself: the failure's code. */
export const ERROR_HEADER = "tulle-error";

/** What a failure of the mesh looks like as an answer. */
export interface LocalReply {
  readonly status: number;
  readonly statusText: string;
  readonly headers: Record<string, string>;
  readonly body: Buffer;
}

/** Says a failure of the mesh as a proxy would: its status, its message as text, its code in a header. */
export const localReply = (error: MeshError): LocalReply => {
  const body = Buffer.from(error.message);
  return {
    status: error.status,
    statusText: STATUS_CODES[error.status] ?? "",
    headers: {
      "content-type": "text/plain; charset=utf-8",
      "content-length": String(body.length),
      [ERROR_HEADER]: error.code,
    },
    body,
  };
};

/** Whether a call wants failures of the mesh as answers. */
export const wantsReply = (options: CallOptions, byDefault: "error" | "response"): boolean =>
  (options.localReplies ?? byDefault) === "response";
