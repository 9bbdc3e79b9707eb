import { LocalReply, type LocalReplyParts } from "./local-reply.ts";
import type { Reply } from "./reply.ts";
import { discardBody } from "./retry/replay-body.ts";
import type { Call } from "./send.ts";

/**
 * Answers a call in the place of a service: nothing is sent, and a body that could be read only once is given up.
 *
 * @param answer in words, for explanations: `direct response 200`.
 */
export const answerCall = (call: Call, answer: string, parts: Omit<LocalReplyParts, "method">): Promise<Reply> => {
  if (call.cancel.cancelled) return Promise.reject(call.cancel.reason);
  call.answer = answer;
  discardBody(call.body, new Error(`the mesh answered the call itself: ${answer}`));
  return Promise.resolve(new LocalReply({ ...parts, method: call.method }));
};
