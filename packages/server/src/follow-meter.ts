import { type Meter, type MeterProvider, metrics } from "@opentelemetry/api";

/**
 * The instruments that `make` makes, of the meter provider that is registered now. An SDK may start after us, and unlike
 * tracers, meters do not follow it by themselves.
 */
export const followMeter = <T>(make: (meter: Meter) => T): (() => T) => {
  let made: { readonly provider: MeterProvider; readonly instruments: T } | undefined;
  return () => {
    const provider = metrics.getMeterProvider();
    if (made?.provider !== provider) made = { provider, instruments: make(provider.getMeter("@tulle/server")) };
    return made.instruments;
  };
};
