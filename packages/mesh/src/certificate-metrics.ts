import { type MeterProvider, metrics, type ObservableGauge, type ObservableResult } from "@opentelemetry/api";
import type { Credentials } from "@tulle/policy";
import type { Clock, Timer, Watched } from "@tulle/time";

/** An SDK may start after us, and meters do not follow it by themselves. */
const LOOK_INTERVAL_MS = 10_000;

/**
 * Observes how long the member's certificate still holds: `tulle.certificate.expires_in`, seconds, below 0 once it has expired.
 * Returns the way to stop.
 */
export const observeCertificate = (
  credentials: Watched<Credentials | undefined>,
  clock: Clock,
  clockSkewMs: () => number,
): (() => void) => {
  let provider: MeterProvider | undefined;
  let gauge: ObservableGauge | undefined;
  let timer: Timer;
  const observe = (result: ObservableResult): void => {
    const { current } = credentials;
    if (current === undefined) return;
    const leftMs = current.notAfterMs - clock.wallNow() - clockSkewMs();
    result.observe(leftMs / 1_000, { "tulle.spiffe_id": current.spiffeId });
  };
  const follow = (): void => {
    timer = clock.after(LOOK_INTERVAL_MS, follow);
    const present = metrics.getMeterProvider();
    if (present === provider) return;
    gauge?.removeCallback(observe);
    provider = present;
    gauge = present.getMeter("tulle").createObservableGauge("tulle.certificate.expires_in", {
      description: "Time until the member's certificate ends.",
      unit: "s",
    });
    gauge.addCallback(observe);
  };
  follow();
  return () => {
    timer.cancel();
    gauge?.removeCallback(observe);
  };
};
