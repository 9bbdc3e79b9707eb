import type { HeaderListChange } from "@tulle/policy";
import { withHeaders } from "../reply-headers.ts";
import type { Layer } from "../send.ts";

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
    next(call).then((reply) => withHeaders(reply, change));
