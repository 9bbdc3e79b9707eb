import { type Balanced, createPicker, LocalityPicker, newFigures, type Picker } from "@tulle/client/balancing";
import { type EffectiveBalancer, effectiveLocality, type Locality } from "@tulle/policy";
import { seededRandom } from "@tulle/testing";
import { balancers as simulated } from "./simulation/balancers.ts";

/** One way of picking, over endpoints of its kind. */
export interface PickVariant {
  readonly name: string;
  /** Makes a picker that has picked among these endpoints for a while. */
  readonly create: (all: readonly Balanced[]) => Picker;
  /** @param count how many. */
  readonly endpoints: (count: number) => readonly Balanced[];
}

/** When the picks happen, clock milliseconds: reports of the past 20 s count by then. */
export const PICKED_AT_MS = 20_000;

const of = (algorithm: string): EffectiveBalancer => {
  const found = simulated.find(({ name }) => name === algorithm);
  if (found === undefined) throw new RangeError(`there is no balancer ${algorithm}`);
  return found.balancer;
};

const pickerOf = (balancer: EffectiveBalancer): Picker => createPicker(balancer, { random: seededRandom(1) });

/** Every endpoint has said how busy it is, for long enough to be believed. */
const reporting = (balancer: EffectiveBalancer) => (all: readonly Balanced[]) => {
  const picker = pickerOf(balancer);
  const random = seededRandom(4);
  for (const candidate of all) {
    const report = { utilization: 0.2 + 0.6 * random(), qps: 100, eps: 0, inFlight: 1 + 8 * random(), latencyMs: 10 };
    picker.report?.(candidate, 0, report);
    picker.report?.(candidate, PICKED_AT_MS - 1, report);
  }
  return picker;
};

const zones = ["a", "b", "c"];

const inPlaces = (locality: Locality) => () => {
  const policy = effectiveLocality({ locality });
  if (policy === undefined) throw new RangeError("the policy says nothing of localities");
  return new LocalityPicker({
    policy,
    place: { locality: { region: "eu", zone: "a" }, labels: {} },
    makePicker: () => pickerOf(of("peak-ewma")),
    random: seededRandom(6),
  });
};

/** Endpoints that have been called a little, so that their latencies and loads differ. */
const endpointsOf =
  (weightOf: (place: number) => number | undefined = () => undefined, joinedAtMs = 0) =>
  (count: number): readonly Balanced[] => {
    const random = seededRandom(2);
    return Array.from({ length: count }, (_, place) => {
      const figures = newFigures(joinedAtMs);
      figures.inFlight = Math.floor(random() * 5);
      figures.measured = true;
      figures.rtt.costMs = 5 + 20 * random();
      const weight = weightOf(place);
      return {
        endpoint: {
          id: `e${place}`,
          address: `10.${place >> 16}.${(place >> 8) & 255}.${place & 255}`,
          port: 8_080,
          transport: "mtls",
          labels: {},
          health: "healthy",
          serviceAccount: "bench",
          locality: { region: "eu", zone: zones[place % zones.length] ?? "" },
          ...(weight === undefined ? {} : { weight }),
        },
        figures,
      };
    });
  };

const alike = endpointsOf();
const weighted = endpointsOf((place) => 1 + (place % 10));

const plain = (name: string, endpoints = alike): Omit<PickVariant, "name"> => ({
  create: () => pickerOf(of(name)),
  endpoints,
});

const changed = (name: string, changes: Partial<EffectiveBalancer>): Omit<PickVariant, "name"> => ({
  // The fields are of the algorithm that they change.
  create: () => pickerOf({ ...of(name), ...changes } as EffectiveBalancer),
  endpoints: alike,
});

const slowly = { windowMs: 60_000, aggression: 1, minimumShare: 0.1 };

/** A full scan is left out: it says in its name what it costs. */
export const pickVariants: readonly PickVariant[] = [
  { name: "peak-ewma", ...plain("peak-ewma") },
  { name: "peak-ewma, weighted", ...plain("peak-ewma", weighted) },
  { name: "peak-ewma, slow start", ...changed("peak-ewma", { slowStart: slowly }) },
  { name: "peak-ewma, subset of 20", ...changed("peak-ewma", { subsetSize: 20 }) },
  { name: "peak-ewma, failover", create: inPlaces({ mode: "failover" }), endpoints: alike },
  {
    name: "peak-ewma, distribute",
    create: inPlaces({
      mode: "distribute",
      distribute: [{ from: "*", to: { "eu/a/*": 60, "eu/b/*": 30, "eu/c/*": 10 } }],
    }),
    endpoints: alike,
  },
  { name: "peak-ewma, zone-aware", create: inPlaces({ mode: "zone-aware" }), endpoints: alike },
  { name: "least-request", ...plain("least-request") },
  { name: "least-request, weighted", ...plain("least-request", weighted) },
  { name: "prequal", ...plain("prequal") },
  { name: "prequal, reports", create: reporting(of("prequal")), endpoints: alike },
  { name: "round-robin", ...plain("round-robin") },
  { name: "round-robin, weighted", ...plain("round-robin", weighted) },
  { name: "random", ...plain("random") },
  { name: "random, weighted", ...plain("random", weighted) },
  { name: "random, slow start", ...changed("random", { slowStart: slowly }) },
  { name: "weighted-round-robin", ...plain("weighted-round-robin") },
  { name: "weighted-round-robin, reports", create: reporting(of("weighted-round-robin")), endpoints: alike },
  { name: "ring-hash", ...plain("ring-hash") },
  { name: "ring-hash, bounded load", ...changed("ring-hash", { balanceFactor: 1.25 }) },
  { name: "maglev", ...plain("maglev") },
  { name: "maglev, bounded load", ...changed("maglev", { balanceFactor: 1.25 }) },
];
