import { propagation, trace } from "@opentelemetry/api";
import { describe, expect, test } from "vitest";
import { extractContext, parseBaggage, parseTraceParent } from "./trace-context.ts";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const spanId = "b7ad6b7169203331";

describe("traceparent", () => {
  test("is read with its flags and its state", () => {
    expect(parseTraceParent(`00-${traceId}-${spanId}-01`)).toEqual({ traceId, spanId, traceFlags: 1, isRemote: true });
    expect(parseTraceParent(`00-${traceId}-${spanId}-00`, "a=b,c=d")?.traceState?.get("c")).toBe("d");
    expect(parseTraceParent(`01-${traceId}-${spanId}-01-later`)).toMatchObject({ traceId });
  });

  test.each([
    undefined,
    "",
    `ff-${traceId}-${spanId}-01`,
    `00-${traceId}-${spanId}-01-more`,
    `00-${"0".repeat(32)}-${spanId}-01`,
    `00-${traceId}-${"0".repeat(16)}-01`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
    `00-${traceId}-${spanId}-01, 00-${traceId}-${spanId}-01`,
  ])("%s begins a new trace", (header) => {
    expect(parseTraceParent(header)).toBeUndefined();
  });
});

describe("baggage", () => {
  test("is read without its properties, and what cannot be read is left out", () => {
    const baggage = parseBaggage("user=a%20b; secret , broken, bad=%zz,=x,k=v");
    expect(baggage?.getAllEntries()).toEqual([
      ["user", { value: "a b" }],
      ["k", { value: "v" }],
    ]);
  });

  test("is ignored beyond its bounds", () => {
    expect(parseBaggage(`k=${"v".repeat(8_200)}`)).toBeUndefined();
    const many = Array.from({ length: 100 }, (_, at) => `k${at}=v`).join(",");
    expect(parseBaggage(many)?.getAllEntries()).toHaveLength(64);
  });
});

test("without a registered propagator both headers are read", () => {
  const context = extractContext({ traceparent: `00-${traceId}-${spanId}-01`, baggage: "a=1" });
  expect(trace.getSpanContext(context)).toMatchObject({ traceId, spanId });
  expect(propagation.getBaggage(context)?.getEntry("a")).toEqual({ value: "1" });
});
