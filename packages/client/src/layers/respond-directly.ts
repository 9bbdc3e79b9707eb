import type { EffectiveDirectResponse } from "@tulle/policy";
import { answerCall } from "../answer-call.ts";
import type { Layer } from "../send.ts";

/** Answers every call with what the rule says; nothing below is ever asked. */
export const respondDirectly =
  (response: EffectiveDirectResponse): Layer =>
  () =>
  (call) =>
    answerCall(call, directAnswer(response), response);

/** What explanations say of a direct response. */
export const directAnswer = ({ status }: EffectiveDirectResponse): string => `direct response ${status}`;
