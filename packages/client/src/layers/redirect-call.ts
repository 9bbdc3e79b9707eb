import type { RedirectQuestion } from "@tulle/policy";
import { answerCall } from "../answer-call.ts";
import { questionOf } from "../call.ts";
import type { Call, Layer } from "../send.ts";

/** A compiled redirect. */
export interface ReadyRedirect {
  readonly status: number;
  readonly locate: (question: RedirectQuestion) => string;
}

/** Answers every call with a redirect; nothing below is ever asked. */
export const redirectCall =
  ({ status, locate }: ReadyRedirect): Layer =>
  () =>
  (call) => {
    const location = locate(redirectQuestionOf(call));
    return answerCall(call, redirectAnswer(status, location), { status, headers: ["location", location] });
  };

/** What explanations say of a redirect. */
export const redirectAnswer = (status: number, location: string): string => `redirect ${status} to ${location}`;

/** A call as redirects look at it: what the caller asked for, not what would be sent. */
export const redirectQuestionOf = (call: Call): RedirectQuestion => questionOf(call);
