import { expect, test } from "vitest";
import { translatedAndTold as translated } from "../../test/translated-and-told.ts";

const proxy = (spec: string): string =>
  `apiVersion: networking.istio.io/v1beta1\nkind: ProxyConfig\nmetadata: { name: a }\nspec: ${spec}`;

test("a ProxyConfig becomes nothing, and says why", () => {
  const { policies, told } = translated(
    proxy(
      "{ concurrency: 1, image: { imageType: foo }, environmentVariables: { a: b }, selector: { matchLabels: { a: b } } }",
    ),
  );
  expect(policies).toEqual([]);
  expect(told.map((each) => each.split(": ")[0])).toEqual([
    "no-meaning spec.concurrency",
    "no-meaning spec.image",
    "no-meaning spec.environmentVariables",
  ]);
});

test("a ProxyConfig is refused where Istio refuses it", () => {
  expect(translated(proxy("{ concurrency: -1 }")).refused).toEqual(["spec.concurrency"]);
  expect(translated(proxy("{ selector: { matchLabels: { a: '*' } } }")).refused).toEqual([
    "spec.selector.matchLabels.a",
  ]);
});
