const units = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
] as const;

/** How long ago a moment was, or how far it lies ahead, in its largest unit: `3h`, `12s`, `in 5m`. */
export const age = (atMs: number, nowMs: number): string => {
  const distanceMs = Math.abs(nowMs - atMs);
  const [unit, lengthMs] = units.find(([, ms]) => distanceMs >= ms) ?? ["s", 1000];
  const text = `${Math.floor(distanceMs / lengthMs)}${unit}`;
  return atMs > nowMs ? `in ${text}` : text;
};
