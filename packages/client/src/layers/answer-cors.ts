import type { CorsDecision, CorsQuestion } from "@tulle/policy";
import { answerCall } from "../answer-call.ts";
import { questionOf } from "../call.ts";
import type { Layer } from "../send.ts";
import { changeReply } from "./change-headers.ts";

/** What explanations say of a preflight that was not sent. */
export const PREFLIGHT_ANSWER = "CORS preflight";

/** Answers preflights, and tells browsers of every other reply whether the page may read it. */
export const answerCors =
  (decide: (question: CorsQuestion) => CorsDecision): Layer =>
  (next) =>
  (call) => {
    const decision = decide(questionOf(call));
    if (decision.kind === "answer") {
      return answerCall(call, PREFLIGHT_ANSWER, { status: 200, headers: decision.headers });
    }
    return changeReply(next, call, decision.change);
  };
