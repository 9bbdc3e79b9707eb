import type { Circuit } from "../breaker/circuit.ts";
import type { AttemptLayer } from "../send.ts";

/** Asks the destination's circuit before each attempt and teaches it by each outcome. */
export const breakCircuit =
  (circuit: Circuit): AttemptLayer =>
  (next) =>
  (call, attempt) =>
    circuit.run(call, attempt, next);
