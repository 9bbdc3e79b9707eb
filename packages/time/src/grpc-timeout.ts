import { MAX_TIMER_MS } from "./max-timer.ts";

const grpcTimeout = /^(\d{1,8})([HMSmun])$/;

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/**
 * Reads a `grpc-timeout` header: at most eight digits and a unit (gRPC over HTTP/2, "Timeout").
 *
 * @returns milliseconds, at most what a timer can wait; `undefined`: not of that form.
 */
export const parseGrpcTimeoutMs = (text: string): number | undefined => {
  const [, digits, unit = ""] = grpcTimeout.exec(text) ?? [];
  const ms = unitMs[unit];
  return digits === undefined || ms === undefined ? undefined : Math.min(Number(digits) * ms, MAX_TIMER_MS);
};

/** The most that is written in milliseconds: eight digits. */
const MAX_WRITTEN = 99_999_999;

/** Writes a `grpc-timeout` header, rounded down, but never to nothing. */
export const formatGrpcTimeout = (ms: number): string =>
  ms <= MAX_WRITTEN ? `${Math.max(1, Math.floor(ms))}m` : `${Math.min(MAX_WRITTEN, Math.floor(ms / 1_000))}S`;
