import { describe, expect, it } from "vitest";
import { compileFrameworkRoutes, whyNoFrameworkRoute } from "./framework-route.ts";

describe("route templates in a policy", () => {
  it.each([
    ["/reviews/:id", "/reviews/:id", true],
    ["/reviews/:id", "/reviews/:reviewId", true],
    ["/reviews/:id", "/reviews", false],
    ["/reviews/:id", "/reviews/:id/votes", false],
    ["/reviews/:id", "/ratings/:id", false],
    ["/users/:uid/keys", "/users/7/keys", true],
    ["/Reviews/:id", "/reviews/:ID", true],
    ["/reviews/", "/reviews", true],
    ["/reviews", "/reviews//", true],
    ["/", "/", true],
    ["/", "/reviews", false],
    ["/files/*", "/files/*", true],
    ["/files/*", "/files/:name", false],
    ["*", "/anything/:at/all", true],
  ])("%s names the route %s: %s", (template, route, fits) => {
    expect(compileFrameworkRoutes([template])(route)).toBe(fits);
    expect(compileFrameworkRoutes(["/else/where", template])(route)).toBe(fits);
  });

  it("is written from the root", () => {
    expect(whyNoFrameworkRoute("/reviews/:id")).toBeUndefined();
    expect(whyNoFrameworkRoute("*")).toBeUndefined();
    expect(whyNoFrameworkRoute("reviews/:id")).toContain('"reviews/:id" is no route template');
  });
});
