import type { RouteMatch, RouteQuestion } from "@tulle/policy";
import { answerCall } from "../answer-call.ts";
import { questionOf } from "../call.ts";
import type { Layer } from "../send.ts";

/** A compiled redirect. */
export interface ReadyRedirect {
  readonly status: number;
  readonly locate: (question: RouteQuestion, match: RouteMatch | undefined) => string;
}

/** Answers every call with a redirect; nothing below is ever asked. */
export const redirectCall =
  ({ status, locate }: ReadyRedirect): Layer =>
  () =>
  (call) => {
    const location = locate(questionOf(call), call.match);
    return answerCall(call, redirectAnswer(status, location), { status, headers: ["location", location] });
  };

/** What explanations say of a redirect. */
export const redirectAnswer = (status: number, location: string): string => `redirect ${status} to ${location}`;
