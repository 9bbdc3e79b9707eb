import { describe, expect, it, test } from "vitest";
import { translatedAndTold as translated } from "../../test/translated-and-told.ts";

const telemetry = (spec: string): string =>
  `apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: { name: a }\nspec: ${spec}`;

describe("a Telemetry document", () => {
  test("becomes nothing, and says why", () => {
    const { policies, told } = translated(
      telemetry(`{ tracing: [{ providers: [{ name: otlp }], randomSamplingPercentage: 54.54 }],
  metrics: [{ reportingInterval: 5s, overrides: [{ match: { metric: ALL_METRICS }, tagOverrides: { a: { value: b }, c: { operation: REMOVE } } }] }],
  accessLogging: [{ filter: { expression: "true" } }] }`),
    );
    expect(policies).toEqual([]);
    expect(told.map((each) => each.split(": ")[0])).toEqual([
      "no-meaning spec.tracing",
      "no-meaning spec.metrics",
      "no-meaning spec.accessLogging",
    ]);
  });

  it.each([
    [
      "more than all calls sampled",
      "{ tracing: [{ randomSamplingPercentage: 101 }] }",
      "spec.tracing[0].randomSamplingPercentage",
    ],
    [
      "two providers of tracing",
      "{ tracing: [{ providers: [{ name: a }, { name: b }] }] }",
      "spec.tracing[0].providers",
    ],
    ["a provider without name", '{ metrics: [{ providers: [{ name: "" }] }] }', "spec.metrics[0].providers[0].name"],
    [
      "a metric without name",
      '{ metrics: [{ overrides: [{ match: { customMetric: "" } }] }] }',
      "spec.metrics[0].overrides[0].match.customMetric",
    ],
    [
      "a tag to set without value",
      "{ metrics: [{ overrides: [{ tagOverrides: { a: { operation: UPSERT } } }] }] }",
      "spec.metrics[0].overrides[0].tagOverrides.a.value",
    ],
    [
      "a tag to remove with a value",
      "{ metrics: [{ overrides: [{ tagOverrides: { a: { operation: REMOVE, value: b } } }] }] }",
      "spec.metrics[0].overrides[0].tagOverrides.a.value",
    ],
    ["an unknown field", "{ tracing: [{ sampling: 1 }] }", "spec.tracing[0].sampling"],
  ])("is refused with %s", (_name, spec, path) => {
    expect(translated(telemetry(spec)).refused).toContain(path);
  });
});
