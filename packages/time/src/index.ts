export { type Backoff, fullJitterMs } from "./backoff.ts";
export type { Clock, Timer } from "./clock.ts";
export { formatGrpcTimeout, parseGrpcTimeoutMs } from "./grpc-timeout.ts";
export { MAX_TIMER_MS } from "./max-timer.ts";
export { decayedPeak, observePeak, type PeakEwma } from "./peak-ewma.ts";
export type { Random } from "./random.ts";
export { systemClock } from "./system-clock.ts";
export { constant, Watchable, type Watched } from "./watched.ts";
export { whileHeld } from "./while-held.ts";
