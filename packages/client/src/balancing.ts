// The choice of the endpoint by itself, for simulations and for balancers of one's own: no sockets, no clock, no chance but
// those that are handed in.

export type { BalancerKit, CreateBalancer, CustomBalancer, CustomBalancers } from "./balancing/custom-balancer.ts";
export { isPanic, pickUsable } from "./balancing/pick-usable.ts";
export {
  type Balanced,
  type CandidateFigures,
  createPicker,
  type Outcome,
  type Picker,
  type PickerKit,
} from "./balancing/picker.ts";
export { type EndpointFigures, newFigures } from "./endpoints/endpoint-figures.ts";
export { type EndpointState, stateOf } from "./endpoints/endpoint-state.ts";
export { OutlierDetector, type OutlierDetectorOptions } from "./endpoints/outlier-detector.ts";
export {
  beginCall,
  type EjectionCause,
  type EjectionDecision,
  forgetProbe,
  isEjected,
  type OutlierOutcome,
} from "./endpoints/outlier-ejection.ts";
export { outcomeOfError, outcomeOfStatus } from "./endpoints/outlier-outcome.ts";
export { noteReached, noteSent, noteUnreachable } from "./endpoints/probation.ts";
export { type Hash64, unitOf, xxh64 } from "./hashing/xxh64.ts";
export { type LoadReport, parseLoadReport } from "./load-reports/load-report.ts";
export type { Place } from "./locality/failover-tiers.ts";
export { type LocalityDescription, LocalityPicker, type LocalityPickerOptions } from "./locality/locality-picker.ts";
