import type { RouteMatch, RouteQuestion } from "@tulle/policy";
import { questionOf } from "../call.ts";
import type { Layer } from "../send.ts";

/** Sends another path than the caller asked for. */
export const rewritePath =
  (rewrite: (question: RouteQuestion, match: RouteMatch | undefined) => string): Layer =>
  (next) =>
  (call) => {
    call.sentPath = rewrite(questionOf(call), call.match);
    return next(call);
  };

/** Sends another Host than the caller asked for. */
export const rewriteHost =
  (authority: string): Layer =>
  (next) =>
  (call) => {
    call.sentAuthority = authority;
    return next(call);
  };
