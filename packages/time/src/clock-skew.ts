/** A difference between clocks that is worth telling of. */
const NOTABLE_SKEW_MS = 5_000;

/**
 * Tells how the clock of this machine differs from the config-server's, or `undefined` where that is not worth a word.
 *
 * @param skewMs by which the config-server's clock is ahead of ours, milliseconds.
 */
export const describeSkew = (skewMs: number): string | undefined =>
  Math.abs(skewMs) <= NOTABLE_SKEW_MS
    ? undefined
    : `the clock of this machine is ${Math.round(Math.abs(skewMs) / 1_000)} s ${
        skewMs > 0 ? "behind" : "ahead of"
      } the config-server's`;
