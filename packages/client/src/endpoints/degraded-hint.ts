/** How long an endpoint counts as degraded by its reply where that names no time: 10 s. */
export const DEGRADED_HINT_MS = 10_000;

/** The longest time that a reply may name: 5 min. Who is degraded for longer says it again. */
export const MAX_DEGRADED_HINT_MS = 300_000;

/**
 * Reads what a reply says in `x-envoy-degraded`: seconds from now, 0 for "not any more"; any other value is
 * {@link DEGRADED_HINT_MS}, for in health checks the value does not matter (Envoy).
 */
export const degradedForMs = (value: string): number =>
  /^\d{1,9}$/.test(value) ? Math.min(Number(value) * 1_000, MAX_DEGRADED_HINT_MS) : DEGRADED_HINT_MS;
