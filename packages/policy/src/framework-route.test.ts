import { describe, expect, it } from "vitest";
import { compileFrameworkRoutes, whyNoFrameworkRoute } from "./framework-route.ts";

describe("route templates in a policy", () => {
  it.each([
    ["/reviews/:id", "/reviews/:id", true],
    ["/reviews/:id", "/reviews/:reviewId", true],
    ["/reviews/:id", "/reviews", false],
    ["/reviews/:id", "/reviews/:id/votes", false],
    ["/reviews/:id", "/ratings/:id", false],
    ["/reviews/:id", "/reviews/all", false],
    ["/reviews/:id", "/reviews/*", false],
    ["/users/:uid/keys", "/users/7/keys", false],
    ["/Reviews/:id", "/reviews/:ID", true],
    ["/reviews/", "/reviews", true],
    ["/reviews", "/reviews//", true],
    ["/", "/", true],
    ["/", "/reviews", false],
    ["/files/*", "/files/*", true],
    ["/files/*", "/files/:name", false],
    ["*", "/anything/:at/all", true],
  ])("%s names the route %s: %s", (template, route, fits) => {
    expect(compileFrameworkRoutes([template], false)(route)).toBe(fits);
    expect(compileFrameworkRoutes(["/else/where", template], false)(route)).toBe(fits);
  });

  it("counts fixed text as a parameter where it refuses, and in a mount path", () => {
    expect(compileFrameworkRoutes(["/reviews/:id"], true)("/reviews/all")).toBe(true);
    const keys = compileFrameworkRoutes(["/users/:uid/keys/:id"], false);
    expect(keys("/users/7/keys/:key", "/users/7")).toBe(true);
    expect(keys("/users/7/keys/all", "/users/7")).toBe(false);
    expect(keys("/users/:any/keys/:key", "/users/")).toBe(true);
  });

  it("is written from the root", () => {
    expect(whyNoFrameworkRoute("/reviews/:id")).toBeUndefined();
    expect(whyNoFrameworkRoute("*")).toBeUndefined();
    expect(whyNoFrameworkRoute("reviews/:id")).toContain('"reviews/:id" is no route template');
  });
});
