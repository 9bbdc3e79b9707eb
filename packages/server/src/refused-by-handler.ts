import type { ServerResponse } from "node:http";
import type { Visit } from "./gate.ts";
import { refuse } from "./refusal.ts";
import { OpenVisit } from "./visit.ts";
import { AccessRefused } from "./visit-permit.ts";

/** Runs a handler that no framework stands around, and answers for it where its own check refuses the visit. */
export const answerRefused = (visit: Visit, response: ServerResponse, handle: () => unknown): void => {
  const answer = (error: unknown): void => {
    const refusal = visit instanceof OpenVisit ? visit.refusal : undefined;
    // What else a handler throws is as uncaught as without the mesh.
    if (!(error instanceof AccessRefused) || refusal === undefined || response.headersSent) throw error;
    // A visit with a refusal is one of ours, as was just seen.
    refuse(visit as OpenVisit, refusal, response);
  };
  let result: unknown;
  try {
    result = handle();
  } catch (error) {
    answer(error);
    return;
  }
  if (result instanceof Promise) void result.catch(answer);
};
