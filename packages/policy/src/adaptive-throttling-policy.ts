import { type Duration, durationOr } from "./duration.ts";
import { durationLimits, numberLimits } from "./field-limits.ts";
import type { Check } from "./policy-check.ts";
import { type StatusRange, statusesOf, wrongStatuses } from "./retry-policy.ts";
import type { ServicePolicy } from "./service-policy.ts";

/**
 * The client refuses part of its own calls while a destination rejects many of them (Google's SRE book, "Handling Overload";
 * Envoy's admission control). Of `requests` within the window, of which `accepts` were accepted, it refuses the share
 * `(requests - multiplier * accepts) / (requests + 1)`, so that the destination gets about `multiplier` times what it takes.
 */
export interface AdaptiveThrottling {
  /** Calls that are sent per call that is accepted. Lower refuses sooner; at 1 it would never recover. Range 1.1 to 100. @default 2 (SRE book) */
  readonly multiplier?: number;
  /** Over which calls are counted. Range 1s to 1h. @default "2m" (SRE book) */
  readonly window?: Duration;
  /** Below so many calls per second, over the whole window, nothing is refused. Range 0 to 1,000,000. @default 5 (Finagle) */
  readonly minimumRequestsPerSecond?: number;
  /** No more than this share is refused, so that what is left finds out when the destination is well again. Range 0 to 100. @default 80 (Envoy) */
  readonly maxRejectionPercent?: number;
  /**
   * Answers that are rejections, single statuses or ranges as `"500-599"`, 400 to 599. So are `grpc-status` 8
   * (`RESOURCE_EXHAUSTED`) and 14 (`UNAVAILABLE`), failed connections, resets and timeouts. @default [429, "500-599"] (Envoy's, and 429)
   */
  readonly rejections?: readonly (number | StatusRange)[];
}

/** Calls sent per call accepted: 2 (SRE book). */
export const DEFAULT_THROTTLING_MULTIPLIER = 2;

/** The time over which calls are counted: 2 min (SRE book). */
export const DEFAULT_THROTTLING_WINDOW_MS = 120_000;

/** Calls per second below which nothing is refused: 5 (Finagle). */
export const DEFAULT_THROTTLING_MINIMUM_RPS = 5;

/** The largest share that is refused: 80 % (Envoy). */
export const DEFAULT_MAX_REJECTION_PERCENT = 80;

/** Answers that are rejections: all that Envoy takes for one, and 429. */
export const DEFAULT_REJECTIONS: readonly (number | StatusRange)[] = [429, "500-599"];

/** Adaptive throttling with every field filled in. */
export interface EffectiveAdaptiveThrottling {
  readonly multiplier: number;
  readonly windowMs: number;
  readonly minimumRequestsPerSecond: number;
  readonly maxRejectionPercent: number;
  readonly rejections: ReadonlySet<number>;
}

/** The adaptive throttling of a service; `undefined` where its policy does not ask for it. */
export const effectiveAdaptiveThrottling = ({
  adaptiveThrottling: policy,
}: ServicePolicy): EffectiveAdaptiveThrottling | undefined => {
  if (policy === undefined || policy === false) return undefined;
  return {
    multiplier: policy.multiplier ?? DEFAULT_THROTTLING_MULTIPLIER,
    windowMs: durationOr(policy.window, DEFAULT_THROTTLING_WINDOW_MS),
    minimumRequestsPerSecond: policy.minimumRequestsPerSecond ?? DEFAULT_THROTTLING_MINIMUM_RPS,
    maxRejectionPercent: policy.maxRejectionPercent ?? DEFAULT_MAX_REJECTION_PERCENT,
    rejections: new Set((policy.rejections ?? DEFAULT_REJECTIONS).flatMap(statusesOf)),
  };
};

/** Whether the figures make sense. */
export const checkAdaptiveThrottling = (policy: AdaptiveThrottling | false | undefined, check: Check): void => {
  if (policy === undefined || policy === false) return;
  const at = "adaptiveThrottling";
  check.number([at, "multiplier"], policy.multiplier, numberLimits.throttlingMultiplier);
  check.duration([at, "window"], policy.window, durationLimits.throttlingWindow);
  check.number(
    [at, "minimumRequestsPerSecond"],
    policy.minimumRequestsPerSecond,
    numberLimits.minimumRequestsPerSecond,
  );
  check.number([at, "maxRejectionPercent"], policy.maxRejectionPercent, numberLimits.percent);
  for (const [place, status] of (policy.rejections ?? []).entries()) {
    const message = wrongStatuses(status);
    if (message !== undefined) check.report([at, "rejections", place], message);
  }
};
