import { type Duration, parseDuration } from "./duration.ts";
import { durationLimits, numberLimits, wrongChoice, wrongHeaderName } from "./field-limits.ts";
import { type GrpcStatus, grpcStatuses, grpcStatusOfHttp } from "./grpc-status.ts";
import { DEFAULT_PERCENT, fallsWithin } from "./percent.ts";
import type { Check } from "./policy-check.ts";
import type { PolicyPath } from "./policy-path.ts";
import { compileStringMatch, type RegexEngine, type StringMatch } from "./string-match.ts";

/** How long calls are held up before they go on. Exactly one of `fixed` and `exponential` is set. */
export interface FaultDelay {
  /** The same for all. Range 1ms to 1h. */
  readonly fixed?: Duration;
  /** The mean of exponentially distributed delays, none of which exceeds 1h. Range 1ms to 1h. */
  readonly exponential?: Duration;
  /** Share of the calls, 0 to 100, fractions included. @default 100 */
  readonly percent?: number;
}

/** What calls are answered instead of being sent. Exactly one of `status` and `grpcStatus` is set. */
export interface FaultAbort {
  /** HTTP status, 200 to 599. A call that speaks gRPC gets the gRPC status that stands for it. */
  readonly status?: number;
  /** By name. A call that does not speak gRPC gets the HTTP status that stands for it. */
  readonly grpcStatus?: GrpcStatus;
  /** Share of the calls, 0 to 100, fractions included; drawn apart from the delay's. @default 100 */
  readonly percent?: number;
}

/** Delays and failures on purpose, to see what they do. The delay comes first, then the abort. */
export interface FaultPolicy {
  /** Only for calls whose headers match, all of them; by name, compared without case. @default every call of the rule */
  readonly headers?: Readonly<Record<string, StringMatch>>;
  readonly delay?: FaultDelay;
  readonly abort?: FaultAbort;
  /** Calls of this process that may be under a fault of the rule at once; others pass unharmed. Range 1 to 1,000,000. @default no limit (Envoy) */
  readonly maxActive?: number;
}

/** No exponential delay is longer. */
export const MAX_FAULT_DELAY_MS = 3_600_000;

/** The answer of an abort. */
export interface EffectiveFaultAbort {
  readonly status: number;
  readonly grpcStatus: GrpcStatus;
}

/** What is done to one call. */
export interface DrawnFault {
  /** 0: none. */
  readonly delayMs: number;
  readonly abort: EffectiveFaultAbort | undefined;
}

/** A fault made ready for calls. */
export interface CompiledFault {
  readonly maxActive: number;
  /** Whether a call is in scope, by its headers: by lower-case name, several values joined with ",". */
  readonly concerns: (header: (name: string) => string | undefined) => boolean;
  /** Draws the fault of one call; `undefined`: it passes unharmed. `random` yields numbers from 0 up to, but not including, 1. */
  readonly draw: (random: () => number) => DrawnFault | undefined;
}

/** Compiles a fault once, so that a call only draws. @throws SyntaxError when a pattern of its headers is not RE2. */
export const compileFault = (fault: FaultPolicy, engine: RegexEngine): CompiledFault => {
  const tests = Object.entries(fault.headers ?? {}).map(([name, match]) => ({
    name: name.toLowerCase(),
    fits: compileStringMatch(match, engine),
  }));
  const delayOf = compileDelay(fault.delay);
  const abort = fault.abort === undefined ? undefined : effectiveAbort(fault.abort);
  const abortPercent = fault.abort?.percent ?? DEFAULT_PERCENT;
  return {
    maxActive: fault.maxActive ?? Number.POSITIVE_INFINITY,
    concerns: (header) => {
      for (const { name, fits } of tests) if (!fits(header(name))) return false;
      return true;
    },
    draw: (random) => {
      const delayMs = delayOf(random);
      const aborted = abort !== undefined && fallsWithin(abortPercent, random);
      return delayMs === 0 && !aborted ? undefined : { delayMs, abort: aborted ? abort : undefined };
    },
  };
};

const compileDelay = (delay: FaultDelay | undefined): ((random: () => number) => number) => {
  const written = delay?.fixed ?? delay?.exponential;
  if (delay === undefined || written === undefined) return () => 0;
  const percent = delay.percent ?? DEFAULT_PERCENT;
  const ms = parseDuration(written);
  if (delay.fixed !== undefined) return (random) => (fallsWithin(percent, random) ? ms : 0);
  return (random) => (fallsWithin(percent, random) ? Math.min(MAX_FAULT_DELAY_MS, -ms * Math.log(1 - random())) : 0);
};

const effectiveAbort = ({ status, grpcStatus }: FaultAbort): EffectiveFaultAbort => {
  if (grpcStatus !== undefined) return { status: grpcStatuses[grpcStatus].http, grpcStatus };
  const http = status ?? DEFAULT_ABORT_STATUS;
  return { status: http, grpcStatus: grpcStatusOfHttp(http) };
};

/** Never used for checked policies, which name one. */
const DEFAULT_ABORT_STATUS = 503;

/** The ways to say a delay. */
export const delayChoices = ["fixed", "exponential"] as const;

/** The ways to say an abort. */
export const abortChoices = ["status", "grpcStatus"] as const;

/** What is wrong with a fault that does nothing. */
export const EMPTY_FAULT = "nothing is injected: set delay, abort or both";

/** Reports what makes no sense in a rule's fault, but for the comparisons of its headers. */
export const checkFault = (path: PolicyPath, fault: FaultPolicy | undefined, check: Check): void => {
  if (fault === undefined) return;
  const { delay, abort } = fault;
  if (delay === undefined && abort === undefined) check.report(path, EMPTY_FAULT);
  for (const name of Object.keys(fault.headers ?? {})) check.text([...path, "headers", name], name, wrongHeaderName);
  if (delay !== undefined) {
    const at = [...path, "delay"];
    const wrong = wrongChoice(delay, delayChoices);
    if (wrong !== undefined) check.report(at, wrong);
    for (const field of delayChoices) check.duration([...at, field], delay[field], durationLimits.faultDelay);
    check.number([...at, "percent"], delay.percent, numberLimits.percent);
  }
  if (abort !== undefined) {
    const at = [...path, "abort"];
    const wrong = wrongChoice(abort, abortChoices);
    if (wrong !== undefined) check.report(at, wrong);
    check.number([...at, "status"], abort.status, numberLimits.abortStatus);
    if (abort.grpcStatus !== undefined && !Object.hasOwn(grpcStatuses, abort.grpcStatus)) {
      check.report([...at, "grpcStatus"], `"${String(abort.grpcStatus)}" is not a status of gRPC`);
    }
    check.number([...at, "percent"], abort.percent, numberLimits.percent);
  }
  check.number([...path, "maxActive"], fault.maxActive, numberLimits.faultsActive);
};
