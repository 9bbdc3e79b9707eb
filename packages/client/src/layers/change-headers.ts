import type { HeaderListChange } from "@tulle/policy";
import type { Reply } from "../reply.ts";
import { withHeaders } from "../reply-headers.ts";
import type { Call, Layer, Send } from "../send.ts";

/** Changes the headers that are sent. */
export const changeRequestHeaders =
  (change: HeaderListChange): Layer =>
  (next) =>
  (call) => {
    call.sentHeaders = change(call.sentHeaders);
    return next(call);
  };

/**
 * Changes the headers that are sent to one destination. `change` holds the destination's changes and then the rule's, so it
 * begins again from what the caller gave: the rule's have been made before, for the mirror's copy.
 */
export const changeHeadersAnew =
  (change: HeaderListChange): Layer =>
  (next) =>
  (call) => {
    call.sentHeaders = change(call.headers);
    return next(call);
  };

/** Changes the headers of what comes back. */
export const changeReplyHeaders =
  (change: HeaderListChange): Layer =>
  (next) =>
  (call) =>
    changeReply(next, call, change);

/** Changes what comes back of a call, and what a face may make of its failure. */
export const changeReply = (next: Send, call: Call, change: HeaderListChange): Promise<Reply> =>
  next(call).then(
    (reply) => withHeaders(reply, change),
    (error: unknown) => {
      const before = call.failureHeaders;
      call.failureHeaders = before === undefined ? change : (headers) => change(before(headers));
      throw error;
    },
  );
