import {
  compileStringMatch,
  type EffectiveRetry,
  type RegexEngine,
  type RetryCondition,
  type StringMatch,
} from "@tulle/policy";
import { headerOf } from "../call.ts";
import type { Reply } from "../reply.ts";

/** A retry policy that is ready to be asked. */
export interface RetryRules extends EffectiveRetry {
  /** Whether replies below 400 may be failures too: a `grpc-status` comes with 200. */
  readonly readsAllReplies: boolean;
  /** Whether one of the reply's headers makes it a failure. `undefined`: no header does. */
  readonly fitsReply: ((headers: Reply["headers"]) => boolean) | undefined;
  /** Whether calls with these headers are repeated at all. `undefined`: all are. */
  readonly fitsRequest: ((headers: readonly string[]) => boolean) | undefined;
}

/** The conditions that a reply's `grpc-status` may meet. */
export const grpcConditions: ReadonlyMap<string, RetryCondition> = new Map<string, RetryCondition>([
  ["1", "cancelled"],
  ["4", "deadline-exceeded"],
  ["8", "resource-exhausted"],
  ["13", "internal"],
  ["14", "unavailable"],
]);

/** Compiles a retry policy once, so that a failure is only compared. */
export const compileRetry = (policy: EffectiveRetry, engine: RegexEngine): RetryRules => {
  const fitsAny = compileAny(policy.retriableHeaders, engine);
  const requestFits = compileAny(policy.retriableRequestHeaders, engine);
  return {
    ...policy,
    readsAllReplies:
      fitsAny !== undefined || [...grpcConditions.values()].some((condition) => policy.on.has(condition)),
    fitsReply: fitsAny && ((headers) => fitsAny((name) => joined(headers[name]))),
    fitsRequest: requestFits && ((headers) => requestFits((name) => headerOf(headers, name))),
  };
};

type Headers = (lowerCaseName: string) => string | undefined;

const compileAny = (
  matches: Readonly<Record<string, StringMatch>>,
  engine: RegexEngine,
): ((headers: Headers) => boolean) | undefined => {
  const fits = Object.entries(matches).map(
    ([name, match]) => [name.toLowerCase(), compileStringMatch(match, engine)] as const,
  );
  return fits.length === 0 ? undefined : (headers) => fits.some(([name, fit]) => fit(headers(name)));
};

const joined = (value: string | string[] | undefined): string | undefined =>
  typeof value === "object" ? value.join(",") : value;
