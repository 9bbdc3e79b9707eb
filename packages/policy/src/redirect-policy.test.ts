import { expect, test } from "vitest";
import { compileRedirect, type Redirect } from "./redirect-policy.ts";

const substitute = () => (path: string) => path.replace("/v1", "/v2");

const locate = (
  redirect: Redirect,
  call: { readonly authority?: string; readonly port?: number; readonly path?: string; readonly scheme?: string } = {},
): string =>
  compileRedirect(redirect, substitute)(
    {
      method: "GET",
      scheme: call.scheme ?? "http",
      authority: call.authority ?? "b",
      port: call.port ?? 80,
      path: call.path ?? "/foo/bar?key=value",
      header: () => undefined,
    },
    { path: { prefix: "/foo" } },
  );

test.each<[string, Redirect, string]>([
  ["nothing", {}, "http://b/foo/bar?key=value"],
  ["the host", { host: "example.org" }, "http://example.org/foo/bar?key=value"],
  ["the scheme", { scheme: "https" }, "https://b/foo/bar?key=value"],
  ["the whole path", { path: "/new" }, "http://b/new?key=value"],
  ["the prefix", { prefix: "/replaced" }, "http://b/replaced/bar?key=value"],
  ["what a pattern finds", { regex: { pattern: "x", substitution: "y" } }, "http://b/foo/bar?key=value"],
  ["the query, by leaving it out", { stripQuery: true }, "http://b/foo/bar"],
  ["path and query", { path: "/new?a=1" }, "http://b/new?a=1"],
  ["path and query, the rule's own never left out", { path: "/new?a=1", stripQuery: true }, "http://b/new?a=1"],
  ["host and path", { host: "example.org", prefix: "/r" }, "http://example.org/r/bar?key=value"],
])("a redirect changes %s", (_, redirect, expected) => {
  expect(locate(redirect)).toBe(expected);
});

// Envoy's rules for hosts that stay, Istio's FROM_REQUEST_PORT, and no port that the scheme implies (Gateway API).
test.each<[string, number, Redirect, string]>([
  ["b", 80, { port: "request" }, "http://b/"],
  ["b:80", 80, { port: "request" }, "http://b:80/"],
  ["b", 85, { port: "request" }, "http://b:85/"],
  ["b:85", 85, { port: "request" }, "http://b:85/"],
  ["b:85", 85, {}, "http://b:85/"],
  ["b:80", 80, { scheme: "https" }, "https://b/"],
  ["b:8080", 8080, { scheme: "https" }, "https://b:8080/"],
  ["b:8080", 8080, { scheme: "https", port: 443 }, "https://b/"],
  ["b:8080", 8080, { scheme: "https", port: 8443 }, "https://b:8443/"],
  ["b:8080", 8080, { port: 80 }, "http://b/"],
  ["b:8080", 8080, { host: "example.org" }, "http://example.org/"],
  ["b:8080", 8080, { host: "example.org", port: "request" }, "http://example.org:8080/"],
  ["b", 80, { host: "example.org", port: "request" }, "http://example.org/"],
  ["b", 80, { scheme: "https", port: "request" }, "https://b:80/"],
  ["[::1]:8080", 8080, { port: 9090 }, "http://[::1]:9090/"],
  ["[::1]", 80, { port: 9090 }, "http://[::1]:9090/"],
])("%s on port %i with %j leads to %s", (authority, port, redirect, expected) => {
  expect(locate(redirect, { authority, port, path: "/" })).toBe(expected);
});

test("a caller that wrote https is led to https, unless the redirect names a scheme", () => {
  const call = { scheme: "https", authority: "b:443", port: 443, path: "/" };
  expect(locate({}, call)).toBe("https://b:443/");
  expect(locate({ port: "request" }, call)).toBe("https://b:443/");
  expect(locate({ scheme: "http" }, call)).toBe("http://b/");
});
