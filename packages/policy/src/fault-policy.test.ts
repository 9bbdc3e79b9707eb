import { seededRandom } from "@tulle/testing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkPolicies } from "./check-policies.ts";
import { compileFault, type FaultPolicy, MAX_FAULT_DELAY_MS } from "./fault-policy.ts";
import type { RegexEngine } from "./string-match.ts";

const engine: RegexEngine = (pattern) => {
  const compiled = new RegExp(`^(?:${pattern})$`);
  return (text) => compiled.test(text);
};
const compile = (fault: FaultPolicy) => compileFault(fault, engine);
const notAsked = (): number => {
  throw new Error("not asked");
};

describe("what is drawn", () => {
  test("without shares every call gets all of it, and chance is not asked", () => {
    const fault = compile({ delay: { fixed: "2s" }, abort: { status: 503 } });
    expect(fault.draw(notAsked)).toEqual({ delayMs: 2_000, abort: { status: 503, grpcStatus: "UNAVAILABLE" } });
  });

  test("a share of 0 harms nobody, and chance is not asked", () => {
    expect(compile({ delay: { fixed: "2s", percent: 0 }, abort: { status: 503, percent: 0 } }).draw(notAsked)).toBe(
      undefined,
    );
  });

  test("delay and abort are drawn apart, the delay first", () => {
    const fault = compile({ delay: { fixed: "1s", percent: 50 }, abort: { status: 500, percent: 50 } });
    const drawn = (...chance: number[]) => fault.draw(() => chance.shift()!);
    expect(drawn(0.4, 0.6)).toEqual({ delayMs: 1_000, abort: undefined });
    expect(drawn(0.6, 0.4)).toMatchObject({ delayMs: 0, abort: { status: 500 } });
    expect(drawn(0.4, 0.4)).toMatchObject({ delayMs: 1_000, abort: { status: 500 } });
    expect(drawn(0.5, 0.5)).toBe(undefined);
  });

  test("shares hold within binomial bounds, fractions of a percent included", () => {
    fc.assert(
      fc.property(fc.double({ min: 0.1, max: 99.9, noNaN: true }), fc.integer(), (percent, seed) => {
        const fault = compile({ abort: { status: 500, percent } });
        const random = seededRandom(seed);
        const calls = 4_000;
        let aborted = 0;
        for (let call = 0; call < calls; call++) if (fault.draw(random) !== undefined) aborted++;
        const share = percent / 100;
        // Six standard deviations and one: chance alone crosses that once in a thousand million runs.
        expect(Math.abs(aborted - calls * share)).toBeLessThanOrEqual(6 * Math.sqrt(calls * share * (1 - share)) + 1);
      }),
      { numRuns: 30 },
    );
  });

  test("exponential delays have their mean, and a bound", () => {
    const fault = compile({ delay: { exponential: "100ms" } });
    const random = seededRandom(3);
    const delays = Array.from({ length: 10_000 }, () => fault.draw(random)?.delayMs ?? 0);
    const mean = delays.reduce((sum, ms) => sum + ms, 0) / delays.length;
    // The mean of n such delays deviates by a hundredth of it at n = 10,000; six of that.
    expect(Math.abs(mean - 100)).toBeLessThan(6);
    // e^-1 of them are longer than the mean.
    const longer = delays.filter((ms) => ms > 100).length / delays.length;
    expect(Math.abs(longer - Math.exp(-1))).toBeLessThan(0.03);
    expect(compile({ delay: { exponential: "1h" } }).draw(() => 1 - 2 ** -53)?.delayMs).toBe(MAX_FAULT_DELAY_MS);
  });

  test.each([
    [{ status: 404 }, { status: 404, grpcStatus: "UNIMPLEMENTED" }],
    [{ status: 429 }, { status: 429, grpcStatus: "UNAVAILABLE" }],
    [{ status: 418 }, { status: 418, grpcStatus: "UNKNOWN" }],
    [{ grpcStatus: "RESOURCE_EXHAUSTED" as const }, { status: 429, grpcStatus: "RESOURCE_EXHAUSTED" }],
    [{ grpcStatus: "DEADLINE_EXCEEDED" as const }, { status: 504, grpcStatus: "DEADLINE_EXCEEDED" }],
  ])("%o means %o", (abort, answer) => {
    expect(compile({ abort }).draw(notAsked)?.abort).toEqual(answer);
  });
});

test("only calls whose headers all match are concerned", () => {
  const fault = compile({
    headers: { "End-User": { exact: "jason" }, "x-tier": { regex: "g.*" }, "x-safe": { present: false } },
    abort: { status: 500 },
  });
  const concerns = (headers: Record<string, string>): boolean => fault.concerns((name) => headers[name]);
  expect(concerns({ "end-user": "jason", "x-tier": "gold" })).toBe(true);
  expect(concerns({ "end-user": "jason", "x-tier": "silver" })).toBe(false);
  expect(concerns({ "end-user": "jason", "x-tier": "gold", "x-safe": "1" })).toBe(false);
  expect(compile({ abort: { status: 500 } }).concerns(() => undefined)).toBe(true);
});

test.each<[string, FaultPolicy, string[]]>([
  ["nothing", {}, ["rules[0].fault: nothing is injected: set delay, abort or both"]],
  ["a delay without a length", { delay: {} }, ["rules[0].fault.delay: set exactly one of fixed, exponential"]],
  [
    "two ways at once",
    { delay: { fixed: "1s", exponential: "1s" }, abort: { status: 500, grpcStatus: "ABORTED" } },
    [
      "rules[0].fault.delay: fixed and exponential are set: set exactly one",
      "rules[0].fault.abort: status and grpcStatus are set: set exactly one",
    ],
  ],
  [
    "numbers out of range",
    { delay: { fixed: "2h", percent: 101 }, abort: { status: 99, percent: -1 }, maxActive: 0 },
    [
      'rules[0].fault.delay.fixed: "2h" is not a duration from "1ms" to "1h"',
      "rules[0].fault.delay.percent: 101 is not a number from 0 to 100",
      "rules[0].fault.abort.status: 99 is not a whole number from 200 to 599",
      "rules[0].fault.abort.percent: -1 is not a number from 0 to 100",
      "rules[0].fault.maxActive: 0 is not a whole number from 1 to 1000000",
    ],
  ],
  [
    "a status that gRPC does not have",
    { abort: { grpcStatus: "BUSY" as "ABORTED" } },
    ['rules[0].fault.abort.grpcStatus: "BUSY" is not a status of gRPC'],
  ],
  [
    "a header that is none",
    { headers: { "a b": {} as { exact: string } }, abort: { status: 500 } },
    [
      'rules[0].fault.headers["a b"]: "a b" is not the name of a header',
      'rules[0].fault.headers["a b"]: nothing to compare with: set exactly one of exact, prefix, suffix, regex, present',
    ],
  ],
])("a fault with %s is refused", (_, fault, expected) => {
  const problems = checkPolicies([
    { kind: "Service", name: "reviews" },
    { kind: "Route", name: "reviews", services: ["reviews"], rules: [{ fault }] },
  ]);
  expect(problems.map(({ path, message }) => `${path}: ${message}`)).toEqual(expected);
});
