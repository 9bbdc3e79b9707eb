import type { EffectiveSlowStart } from "@tulle/policy";

/**
 * The share of its weight that an endpoint gets at an age: `max(minimum, (max(age, 1 s) / window) ^ (1 / aggression))`, 1
 * after the window (Envoy).
 */
export const shareAtAge = (ageMs: number, { windowMs, aggression, minimumShare }: EffectiveSlowStart): number => {
  if (ageMs >= windowMs) return 1;
  const grown = (Math.max(ageMs, SHORTEST_AGE_MS) / windowMs) ** (1 / aggression);
  return Math.min(1, Math.max(minimumShare, grown));
};

const SHORTEST_AGE_MS = 1_000;
