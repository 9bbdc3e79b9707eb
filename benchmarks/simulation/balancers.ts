import type { EffectiveBalancer } from "@tulle/policy";

/** The balancers that are compared, with their defaults. */
export const balancers: readonly { readonly name: string; readonly balancer: EffectiveBalancer }[] = [
  { name: "round-robin", balancer: { algorithm: "round-robin" } },
  { name: "random", balancer: { algorithm: "random" } },
  {
    name: "least-request",
    balancer: { algorithm: "least-request", choiceCount: 2, selection: "n-choices", activeRequestBias: 1 },
  },
  {
    name: "least-request, full scan",
    balancer: { algorithm: "least-request", choiceCount: 2, selection: "full-scan", activeRequestBias: 1 },
  },
  {
    name: "ring-hash",
    balancer: {
      algorithm: "ring-hash",
      minimumRingSize: 1_024,
      maximumRingSize: 8_388_608,
      balanceFactor: undefined,
    },
  },
  { name: "maglev", balancer: { algorithm: "maglev", tableSize: 65_537, balanceFactor: undefined } },
  {
    name: "weighted-round-robin",
    balancer: {
      algorithm: "weighted-round-robin",
      blackoutMs: 10_000,
      expirationMs: 180_000,
      updateMs: 1_000,
      errorPenalty: 1,
    },
  },
  { name: "prequal", balancer: { algorithm: "prequal", inFlightQuantile: 0.84 } },
  { name: "peak-ewma", balancer: { algorithm: "peak-ewma", decayMs: 10_000, defaultRttMs: 30 } },
];
