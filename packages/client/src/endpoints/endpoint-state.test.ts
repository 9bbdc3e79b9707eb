import { expect, test } from "vitest";
import { endpointAt } from "../../test/mesh-of-servers.ts";
import { type EndpointFigures, newFigures } from "./endpoint-figures.ts";
import { stateOf } from "./endpoint-state.ts";

const stateAt = (nowMs: number, change: (figures: EndpointFigures) => void) => {
  const figures = newFigures(0);
  figures.degradedUntilMs = 10;
  change(figures);
  return stateOf({ endpoint: endpointAt(1), figures }, nowMs);
};

test("an endpoint is degraded by its own word until the time is over", () => {
  expect([9, 10].map((nowMs) => stateAt(nowMs, () => undefined))).toEqual(["degraded", "healthy"]);
});

test("a check that passed does not take its word back, and worse than degraded is worse", () => {
  expect(stateAt(9, ({ health }) => Object.assign(health, { state: "healthy" }))).toBe("degraded");
  expect(stateAt(9, ({ health }) => Object.assign(health, { state: "unhealthy" }))).toBe("unhealthy");
  expect(stateAt(9, ({ outlier }) => Object.assign(outlier, { ejectedUntilMs: 20 }))).toBe("ejected");
});
