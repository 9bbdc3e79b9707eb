import { effectiveCircuitBreaker } from "@tulle/policy";
import { FakeClock, seededRandom } from "@tulle/testing";
import { constant } from "@tulle/time";
import { describe, expect, test } from "vitest";
import { Ledger } from "./ledger.ts";
import { createTransport } from "./transport/transport.ts";

// Nothing turned it off.
const breaker = effectiveCircuitBreaker({ kind: "Service", name: "reviews" })!;
const budget = { ratio: 0.2, minPerSecond: 0, ttlMs: 10_000 };

const ledgerOf = () => {
  const clock = new FakeClock();
  const random = seededRandom(1);
  return new Ledger({
    clock,
    random,
    transport: createTransport({ clock, random, credentials: constant(undefined) }),
    member: { service: "default/productpage", locality: undefined, labels: {} },
  });
};

describe("Ledger", () => {
  test("finds state again by its name, whatever revision asks", async () => {
    const ledger = ledgerOf();
    expect(ledger.endpoints("default/reviews")).toBe(ledger.endpoints("default/reviews"));
    expect(ledger.circuit("default/reviews", "v1", undefined, breaker)).toBe(
      ledger.circuit("default/reviews", "v1", undefined, { ...breaker }),
    );
    expect(ledger.retryBudget("default/reviews", undefined, budget)).toBe(
      ledger.retryBudget("default/reviews", undefined, { ...budget, ratio: 0.5 }),
    );
    const picker = { algorithm: "round-robin" } as const;
    expect(ledger.picker("default/reviews", undefined, picker)).toBe(
      ledger.picker("default/reviews", undefined, { ...picker }),
    );
    await ledger.close();
  });

  test("each subset has a circuit of its own, and a changed policy a new one", async () => {
    const ledger = ledgerOf();
    const v1 = ledger.circuit("default/reviews", "v1", undefined, breaker);
    expect(ledger.circuit("default/reviews", "v2", undefined, breaker)).not.toBe(v1);
    expect(ledger.circuit("default/reviews", "v1", undefined, { ...breaker, errorPercent: 10 })).not.toBe(v1);
    await ledger.close();
  });

  test("a rule's circuit is found again by the rule, and is nobody else's", async () => {
    const ledger = ledgerOf();
    const shared = ledger.circuit("default/reviews", undefined, undefined, breaker);
    const checkout = ledger.circuit("default/reviews", undefined, "default/reviews/checkout", breaker);
    expect(ledger.circuit("default/reviews", undefined, "default/reviews/checkout", { ...breaker })).toBe(checkout);
    expect(new Set([shared, checkout, ledger.circuit("default/reviews", undefined, "default", breaker)]).size).toBe(3);
    await ledger.close();
  });

  test("a circuit that no chain in force asks any more ends, and none before", async () => {
    const ledger = ledgerOf();
    const old = ledger.circuit("default/reviews", undefined, "a/b/c", breaker);
    const renewed = ledger.circuit("default/reviews", undefined, "a/b/c", { ...breaker, errorPercent: 10 });
    expect(ledger.circuit("default/reviews", undefined, "a/b/c", breaker)).toBe(old);
    ledger.retain(new Set(["default/reviews"]), new Set([renewed]));
    expect(ledger.circuit("default/reviews", undefined, "a/b/c", { ...breaker, errorPercent: 10 })).toBe(renewed);
    expect(ledger.circuit("default/reviews", undefined, "a/b/c", breaker)).not.toBe(old);
    await ledger.close();
  });

  test("forgets services that are gone, and those alone", async () => {
    const ledger = ledgerOf();
    const kept = ledger.endpoints("default/ratings");
    const gone = ledger.endpoints("default/reviews");
    const circuit = ledger.circuit("default/reviews", "v1", undefined, breaker);
    ledger.retain(new Set(["default/ratings"]), new Set());
    expect(ledger.endpoints("default/ratings")).toBe(kept);
    expect(ledger.endpoints("default/reviews")).not.toBe(gone);
    expect(ledger.circuit("default/reviews", "v1", undefined, breaker)).not.toBe(circuit);
    await ledger.close();
  });
});
