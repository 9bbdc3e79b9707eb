/**
 * Two-sided p-value of seeing `hits` among `trials` when each hits with probability `share`: the sum of the probabilities of
 * all outcomes that are no more likely than the one seen. Exact, in logarithms.
 */
export const binomialP = (hits: number, trials: number, share: number): number => {
  const logFactorials = [0];
  for (let n = 1; n <= trials; n++) logFactorials.push((logFactorials[n - 1] ?? 0) + Math.log(n));
  const log = (n: number): number => logFactorials[n] ?? 0;
  const probability = (k: number): number =>
    Math.exp(log(trials) - log(k) - log(trials - k) + k * Math.log(share) + (trials - k) * Math.log(1 - share));
  const seen = probability(hits) * (1 + 1e-9);
  let p = 0;
  for (let k = 0; k <= trials; k++) {
    const each = probability(k);
    if (each <= seen) p += each;
  }
  return Math.min(1, p);
};
