import type { CallLedger } from "../telemetry/call-ledger.ts";
import type { Observation } from "./observation.ts";
import type { TokenIssuer } from "./token-issuer.ts";

/** What a task finds when its documents hold. */
export interface Stage {
  /** An address of the public page, such as `/productpage?u=jason`. */
  at(path: string): URL;
  /** What the members measure. */
  readonly ledger: CallLedger;
  readonly issuer: TokenIssuer;
}

/** A state of the mesh, and what visitors see of it. */
export interface Task {
  readonly title: string;
  /** Files below `istio/` that hold besides those of `istio/mesh`. */
  readonly files: readonly string[];
  observe(stage: Stage): Promise<readonly Observation[]>;
}
