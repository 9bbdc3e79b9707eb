import { parseDuration } from "./duration.ts";
import type { MeshPolicy } from "./mesh-policy.ts";
import type { RouteRule } from "./route-policy.ts";

/** Time until a reply's headers where nobody says otherwise: 15 s (Envoy's route timeout, App Mesh). */
export const DEFAULT_TIMEOUT_MS = 15_000;

/** Longest silence within a reply's body: 5 min (Envoy's stream idle timeout). */
export const DEFAULT_IDLE_TIMEOUT_MS = 300_000;

/** Time to a ready connection, TLS handshake included: 1 s (Linkerd). */
export const DEFAULT_CONNECT_TIMEOUT_MS = 1_000;

/** The time limits of the calls of one rule, in milliseconds; `Infinity` where a limit is off. */
export interface EffectiveTimeouts {
  /** The whole call with all its attempts. */
  readonly timeoutMs: number;
  /**
   * How far `timeoutMs` reaches. A default runs until the reply's headers, so that uploads and server-sent events
   * survive it; a timeout that a rule sets covers the body too.
   */
  readonly covers: "headers" | "whole";
  /** Whether nobody said how long calls may take, so that `timeoutMs` is {@link DEFAULT_TIMEOUT_MS}. */
  readonly isDefault: boolean;
  /** One attempt. Off unless somebody sets it. */
  readonly attemptTimeoutMs: number;
  /** The whole call with its body, whatever `timeoutMs` covers. Off unless somebody sets it. */
  readonly maxDurationMs: number;
  /** Silence within the reply's body. */
  readonly idleTimeoutMs: number;
}

/** The limits of a rule, else the mesh's, else the defaults. `rule` is `undefined` for calls that no rule matched. */
export const effectiveTimeouts = (rule: RouteRule | undefined, mesh: MeshPolicy): EffectiveTimeouts => ({
  timeoutMs: limitOf(rule?.timeout ?? mesh.defaults?.timeout, DEFAULT_TIMEOUT_MS),
  covers: rule?.timeout === undefined ? "headers" : "whole",
  isDefault: rule?.timeout === undefined && mesh.defaults?.timeout === undefined,
  attemptTimeoutMs: limitOf(rule?.attemptTimeout ?? mesh.defaults?.attemptTimeout, Number.POSITIVE_INFINITY),
  maxDurationMs: limitOf(rule?.maxDuration ?? mesh.defaults?.maxDuration, Number.POSITIVE_INFINITY),
  idleTimeoutMs: limitOf(rule?.idleTimeout ?? mesh.defaults?.idleTimeout, DEFAULT_IDLE_TIMEOUT_MS),
});

/** A limit as it was written, where `"0s"` turns it off. */
const limitOf = (written: string | undefined, defaultMs: number): number =>
  written === undefined ? defaultMs : parseDuration(written) || Number.POSITIVE_INFINITY;
