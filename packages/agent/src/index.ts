export { type Agent, createAgent } from "./agent.ts";
export type { AgentOptions } from "./agent-options.ts";
export type { AgentState, MissingPart } from "./agent-state.ts";
export type { AgentLogger } from "./logger.ts";
export type { Registration } from "./registrations.ts";
export type { CandidateSnapshot, ValidateSnapshot } from "./subscription.ts";
