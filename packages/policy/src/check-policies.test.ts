import fc from "fast-check";
import { expect, test } from "vitest";
import { checkPolicies } from "./check-policies.ts";
import type { Policy } from "./policy.ts";
import { formatPath, parsePath } from "./policy-path.ts";
import { describeProblem, PolicyError } from "./policy-problem.ts";
import type { RoutePolicy, RouteRule } from "./route-policy.ts";
import type { ServicePolicy } from "./service-policy.ts";

const reviews: ServicePolicy = {
  kind: "Service",
  name: "reviews",
  subsets: { v1: { version: "v1" }, v2: { version: "v2" } },
};
const ratings: ServicePolicy = { kind: "Service", name: "ratings", namespace: "other" };
const route = (rule: RouteRule, rest: Partial<RoutePolicy> = {}): RoutePolicy => ({
  kind: "Route",
  name: "reviews",
  services: ["reviews"],
  rules: [rule],
  ...rest,
});

/** The problems as lines, for tables. */
const problemsOf = (...policies: readonly Policy[]): readonly string[] => checkPolicies(policies).map(describeProblem);

test("policies that fit together have no problem", () => {
  expect(
    problemsOf(
      { kind: "Mesh", name: "mesh", trustDomain: "prod", defaults: { timeout: "0s", retry: { retries: 0 } } },
      reviews,
      ratings,
      route({
        match: [{ path: { prefix: "/reviews" }, methods: ["GET"], headers: { "end-user": { exact: "jason" } } }],
        split: [{ subset: "v1", weight: 80 }, { subset: "v2", weight: 0 }, { service: "ratings.other" }],
        timeout: "2s",
        retry: false,
      }),
      { kind: "Access", name: "a", selector: { service: "reviews" }, rules: [{ from: [{ principals: ["*"] }] }] },
      { kind: "Access", name: "nothing" },
      { kind: "Authentication", name: "a", mtls: { mode: "permissive" } },
    ),
  ).toEqual([]);
});

test.each<[string, readonly Policy[], readonly string[]]>([
  [
    "missing service",
    [reviews, route({}, { services: ["reviws"] })],
    ['Route/default/reviews services[0]: there is no service default/reviws; did you mean "reviews"?'],
  ],
  [
    "missing service of another namespace",
    [reviews, ratings, route({ split: [{ service: "ratings" }] })],
    ["Route/default/reviews rules[0].split[0].service: there is no service default/ratings"],
  ],
  [
    "missing subset",
    [reviews, route({ split: [{ subset: "v1" }, { subset: "v3" }] })],
    [
      'Route/default/reviews rules[0].split[1].subset: service default/reviews has no subset "v3"; it has v1, v2; did you mean "v1" or "v2"?',
    ],
  ],
  [
    "subset of a service without any",
    [reviews, ratings, route({ split: [{ service: "ratings.other", subset: "v1" }] })],
    ['Route/default/reviews rules[0].split[0].subset: service other/ratings has no subset "v1"; it has none'],
  ],
  [
    "no reference",
    [reviews, route({}, { services: ["http://reviews"] })],
    [
      'Route/default/reviews services[0]: "http://reviews" is not a service: write "reviews", "reviews.namespace" or "reviews.namespace.svc.cluster.local"',
    ],
  ],
  [
    "selector",
    [reviews, { kind: "Access", name: "a", selector: { service: "revews" } }],
    [
      'Access/default/a selector.service: there is no service default/revews; a policy selects in its own namespace; did you mean "reviews"?',
    ],
  ],
  [
    "duplicate",
    [{ ...reviews, origin: { file: "a.yaml", line: 3 } }, reviews],
    ['Service/default/reviews name: Service "reviews" in namespace "default" is defined twice, first at a.yaml:3'],
  ],
  [
    "two meshes",
    [
      { kind: "Mesh", name: "mesh" },
      { kind: "Mesh", name: "other" },
    ],
    [
      'Mesh/default/other name: the Mesh policy is named "mesh", not "other"; did you mean "mesh"?',
      "Mesh/default/other name: the Mesh policy is defined twice",
    ],
  ],
  [
    "hosts",
    [
      { ...reviews, hosts: ["r.example.com", "ratings.other.svc"] },
      { ...ratings, hosts: ["R.example.com", "reviews", "x:80", "*.example.com"] },
    ],
    [
      'Service/default/reviews hosts[1]: "ratings.other.svc" already means service other/ratings',
      'Service/other/ratings hosts[2]: "x:80" is not a host name: write it without scheme, port, path and wildcard, such as "reviews.example.com"',
      'Service/other/ratings hosts[3]: "*.example.com" is not a host name: write it without scheme, port, path and wildcard, such as "reviews.example.com"',
      'Service/other/ratings hosts[0]: "R.example.com" already means service default/reviews',
      'Service/other/ratings hosts[1]: "reviews" is the short name of another service',
    ],
  ],
  [
    "weights of 0",
    [reviews, route({ split: [{ subset: "v1", weight: 0 }] })],
    ["Route/default/reviews rules[0].split: all weights are 0, so no call could go anywhere"],
  ],
  [
    "values of a route",
    [
      reviews,
      route({
        match: [{ path: { prefix: "reviews" }, methods: ["get"], headers: { "a b": { exact: "x" } } }],
        split: [{ weight: 1.5 }],
        timeout: "2" as "2s",
        attemptTimeout: "200h",
        hedge: { delay: "0s", quantile: 0.2, attempts: 5 },
        retry: {
          retries: 11,
          on: ["retriable-headers"],
          statuses: [200, "700-500" as "500-599"],
          retriableRequestHeaders: { "a b": { exact: "x" } },
          backoff: { base: "0s" },
        },
      }),
    ],
    [
      'Route/default/reviews rules[0].match[0].path.prefix: "reviews" is not a path: begin it with "/"',
      'Route/default/reviews rules[0].match[0].methods[0]: "get" is not a method: write it in upper case',
      'Route/default/reviews rules[0].match[0].headers["a b"]: "a b" is not the name of a header',
      "Route/default/reviews rules[0].split[0].weight: 1.5 is not a whole number from 0 to 1000000",
      'Route/default/reviews rules[0].timeout: "2" is not a duration: write a number and a unit (ms, s, m, h), such as "250ms" or "1m30s"',
      'Route/default/reviews rules[0].attemptTimeout: "200h" is not a duration from "0s" to "168h"',
      "Route/default/reviews rules[0].retry.retries: 11 is not a whole number from 0 to 10",
      "Route/default/reviews rules[0].retry.statuses[0]: 200 is not a whole number from 400 to 599",
      'Route/default/reviews rules[0].retry.statuses[1]: "700-500" is not a range of statuses: write it as "500-599", within 400 to 599',
      'Route/default/reviews rules[0].retry.on: "retriable-headers" needs retriableHeaders',
      'Route/default/reviews rules[0].retry.retriableRequestHeaders["a b"]: "a b" is not the name of a header',
      'Route/default/reviews rules[0].retry.backoff.base: "0s" is not a duration from "1ms" to "5m"',
      "Route/default/reviews rules[0].hedge: delay and quantile are set: set exactly one",
      'Route/default/reviews rules[0].hedge.delay: "0s" is not a duration from "1ms" to "5m"',
      "Route/default/reviews rules[0].hedge.quantile: 0.2 is not a number from 0.5 to 0.999",
      "Route/default/reviews rules[0].hedge.attempts: 5 is not a whole number from 1 to 4",
    ],
  ],
  [
    "values of a match",
    [
      reviews,
      route({
        match: [
          { path: { template: "/{id}/{id}" }, method: {} as { exact: "GET" }, port: 0, fraction: 101 },
          { path: { regex: "/A" }, ignoreCase: true, headers: { ":authority": { exact: "a" }, Host: { exact: "a" } } },
          { path: { startsWith: "/caf\u00e9" }, source: {} },
          { path: { prefix: "/a", exact: "/b" } as { exact: "/b" }, source: { identity: { prefix: "spiffe://td/" } } },
          { source: { service: "http://a", invert: true } },
        ],
      }),
    ],
    [
      'Route/default/reviews rules[0].match[0].path.template: "/{id}/{id}" is not a template: "id" is the name of two variables',
      "Route/default/reviews rules[0].match[0].method: nothing to compare with: set exactly one of exact, prefix, suffix, regex, present",
      "Route/default/reviews rules[0].match[0].port: 0 is not a whole number from 1 to 65535",
      "Route/default/reviews rules[0].match[0].fraction: 101 is not a number from 0 to 100",
      'Route/default/reviews rules[0].match[1].ignoreCase: a regex says by itself whether case counts: begin it with "(?i)"',
      'Route/default/reviews rules[0].match[1].headers[":authority"]: ":authority" is no header of a call here: use "authority"',
      'Route/default/reviews rules[0].match[1].headers.Host: "Host" is no header of a call here: use "authority"',
      'Route/default/reviews rules[0].match[2].path.startsWith: "/caf\u00e9" has characters that are never sent in a path: write them percent-encoded',
      'Route/default/reviews rules[0].match[2].source: an empty source would mean any caller: leave out "source" if that is meant',
      "Route/default/reviews rules[0].match[3].path: exact and prefix are set: set exactly one",
      'Route/default/reviews rules[0].match[3].source.identity: "spiffe://td/" has a scheme: identities are written without "spiffe://"',
      'Route/default/reviews rules[0].match[4].source.service: "http://a" is not a service: write "reviews", "reviews.namespace" or "reviews.namespace.svc.cluster.local"',
    ],
  ],
  [
    "empty lists",
    [reviews, route({ match: [] }, { services: [] }), { kind: "Access", name: "a", rules: [{ from: [], to: [{}] }] }],
    [
      "Route/default/reviews services: the list is empty: name something, or leave the field out",
      "Route/default/reviews rules[0].match: the list is empty: name something, or leave the field out",
      "Access/default/a rules[0].from: the list is empty: name something, or leave the field out",
      'Access/default/a rules[0].to[0]: an empty item would mean any call: leave out "to" if that is meant',
    ],
  ],
  [
    "values of an access",
    [
      {
        kind: "Access",
        name: "a",
        action: "deny",
        rules: [
          {
            from: [{ principals: ["spiffe://td/a"], namespaces: ["a*b"] }],
            to: [{ methods: ["get", "*"], paths: ["reviews", "*/x", ""] }],
          },
        ],
      },
      { kind: "Access", name: "b", action: "deny" },
    ],
    [
      'Access/default/a rules[0].from[0].principals[0]: "spiffe://td/a" has a scheme: principals are written without "spiffe://"',
      'Access/default/a rules[0].from[0].namespaces[0]: "a*b" has a star where none may be: one at its beginning, or one at its end, or alone',
      'Access/default/a rules[0].to[0].methods[0]: "get" is not a method: write it in upper case',
      'Access/default/a rules[0].to[0].paths[0]: "reviews" is not a path: begin it with "/"',
      "Access/default/a rules[0].to[0].paths[2]: an empty value fits nothing",
      "Access/default/b rules: a deny without rules denies nothing: write an empty rule ({}) to deny everything",
    ],
  ],
  [
    "names",
    [{ ...reviews, name: "Reviews", namespace: "-", port: 0, serviceAccounts: ["A"], subsets: { "v 1": {} } }],
    [
      'Service/-/Reviews name: "Reviews" is not a name: write a-z, 0-9 and "-", at most 63 characters, no "-" at either end',
      'Service/-/Reviews namespace: "-" is not a name: write a-z, 0-9 and "-", at most 63 characters, no "-" at either end',
      "Service/-/Reviews port: 0 is not a whole number from 1 to 65535",
      'Service/-/Reviews serviceAccounts[0]: "A" is not a service account: write a-z, 0-9, "-" and "."',
      'Service/-/Reviews subsets["v 1"]: "v 1" is not a name of a subset: write letters, digits, "-", "_" and ".", at most 63 characters',
    ],
  ],
  [
    "access with attributes, templates and addresses that are none",
    [
      reviews,
      {
        kind: "Access",
        name: "a",
        rules: [
          {
            from: [
              { serviceAccounts: ["a*", "b/c/d"] },
              { serviceAccounts: ["a"], principals: ["b"] },
              { addresses: ["10.0.0.256"], notRemoteAddresses: ["10.0.0.0/33"] },
            ],
            to: [
              { hosts: ["a*b"], ports: [-1, 80.5] },
              { paths: ["/a/{*}b", "/{**}/{*}", "/{id}", "/a/*/{*}", "/a//{*}", "a/{*}"] },
            ],
            when: [
              { key: "source.tribe", values: ["a"] },
              { key: "request.headers[]", values: ["a"] },
              { key: "request.auth.claims[a]", values: [] },
              { key: "request.auth.claims[a]" },
              { key: "destination.port", notValues: ["http"] },
              { key: "source.ip", values: ["a.b.c.d"] },
            ],
          },
        ],
      },
    ],
    [
      'Access/default/a rules[0].from[0].serviceAccounts[0]: "a*" has a star: service accounts are written in full',
      'Access/default/a rules[0].from[0].serviceAccounts[1]: "b/c/d" is not a service account: write "account" or "namespace/account"',
      "Access/default/a rules[0].from[1]: serviceAccounts cannot stand beside principals or namespaces: write two sources, or the principal",
      'Access/default/a rules[0].from[2].addresses[0]: "10.0.0.256" is neither an IP address nor a range: write "10.0.0.1", "10.0.0.0/8" or "2001:db8::/32"',
      'Access/default/a rules[0].from[2].notRemoteAddresses[0]: "10.0.0.0/33" is neither an IP address nor a range: write "10.0.0.1", "10.0.0.0/8" or "2001:db8::/32"',
      'Access/default/a rules[0].to[0].hosts[0]: "a*b" has a star where none may be: one at its beginning, or one at its end, or alone',
      "Access/default/a rules[0].to[0].ports[0]: -1 is not a whole number from 0 to 65535",
      "Access/default/a rules[0].to[0].ports[1]: 80.5 is not a whole number from 0 to 65535",
      'Access/default/a rules[0].to[1].paths[0]: "/a/{*}b" is not a template: "{*}b" mixes an operator with text: {*} and {**} are segments of their own',
      'Access/default/a rules[0].to[1].paths[1]: "/{**}/{*}" is not a template: no operator may follow {**}',
      'Access/default/a rules[0].to[1].paths[2]: "/{id}" has a brace that belongs to no operator: write {*} for a segment, {**} for any number of them',
      'Access/default/a rules[0].to[1].paths[3]: "/a/*/{*}" is not a template: "*" mixes an operator with text: {*} and {**} are segments of their own',
      'Access/default/a rules[0].to[1].paths[4]: "/a//{*}" is not a template: it has two slashes in a row',
      'Access/default/a rules[0].to[1].paths[5]: "a/{*}" is not a template: begin it with "/"',
      'Access/default/a rules[0].when[0].key: "source.tribe" is no attribute: write request.headers[name], request.auth.claims[name], or one of source.ip, remote.ip, source.namespace, source.principal, source.serviceAccount, request.auth.principal, request.auth.audiences, request.auth.presenter, destination.ip, destination.port, connection.sni',
      'Access/default/a rules[0].when[1].key: "request.headers[]" is no attribute: write request.headers[name], request.auth.claims[name], or one of source.ip, remote.ip, source.namespace, source.principal, source.serviceAccount, request.auth.principal, request.auth.audiences, request.auth.presenter, destination.ip, destination.port, connection.sni',
      "Access/default/a rules[0].when[2].values: the list is empty: name something, or leave the field out",
      "Access/default/a rules[0].when[3]: nothing is asked of the attribute: set values, notValues or both",
      'Access/default/a rules[0].when[4].notValues[0]: "http" is not a port',
      'Access/default/a rules[0].when[5].values[0]: "a.b.c.d" is neither an IP address nor a range: write "10.0.0.1", "10.0.0.0/8" or "2001:db8::/32"',
    ],
  ],
  [
    "custom policies that ask nobody, and authorizers that are none",
    [
      {
        kind: "Mesh",
        name: "mesh",
        authorizers: { opa: { url: "opa:8181", statusOnError: 200, pathPrefix: "check" } },
      },
      { kind: "Access", name: "a", action: "custom" },
      { kind: "Access", name: "b", action: "custom", authorizer: "opal", rules: [{}] },
      { kind: "Access", name: "c", action: "audit", authorizer: "opa" },
    ],
    [
      'Mesh/default/mesh authorizers.opa.url: "opa:8181" is not where an authorizer listens: write scheme, host and port, such as "http://opa.security:8181", and its path as pathPrefix',
      'Mesh/default/mesh authorizers.opa.pathPrefix: "check" is not a prefix of paths: begin it with "/", do not end it with one, and leave out the query',
      "Mesh/default/mesh authorizers.opa.statusOnError: 200 is not a whole number from 400 to 599",
      "Access/default/a rules: custom without rules asks nobody: write an empty rule ({}) to ask about every call",
      "Access/default/a authorizer: name who is asked: one of the Mesh policy's authorizers",
      'Access/default/b authorizer: the Mesh policy has no authorizer "opal"; did you mean "opa"?',
      "Access/default/c authorizer: nobody is asked by audit: leave the field out, or set action to custom",
    ],
  ],
  [
    "an authentication that says nothing",
    [{ kind: "Authentication", name: "a" }],
    ["Authentication/default/a: nothing is said about how callers prove who they are: set mtls.mode or jwt"],
  ],
])("%s", (_, policies, expected) => {
  expect(problemsOf(...policies)).toEqual(expected);
});

test("everything that is not supported yet is refused with its place", () => {
  expect(
    problemsOf({ kind: "Mesh", name: "mesh", sampling: 1 }, { ...reviews, mode: "dry-run", concurrencyLimit: {} }).map(
      (line) => line.replace(" yet", "").replace(" is not supported", ""),
    ),
  ).toEqual([
    'Mesh/default/mesh sampling: "sampling"',
    'Service/default/reviews mode: mode "dry-run"',
    'Service/default/reviews concurrencyLimit: "concurrencyLimit"',
  ]);
});

test("a PolicyError lists all problems with their places", () => {
  const error = new PolicyError([
    { policy: "Route/default/r", path: "rules", message: "wrong" },
    { path: "", message: "also wrong", origin: { file: "p.yaml", line: 3 }, column: 7, suggestion: '"right"' },
  ]);
  expect(error.message).toBe(
    '2 problems in the policies:\n  Route/default/r rules: wrong\n  p.yaml:3:7: also wrong; did you mean "right"?',
  );
  expect(error.problems).toHaveLength(2);
});

test("a printed path reads back as the same steps", () => {
  const step = fc.oneof(fc.nat(1_000), fc.string({ minLength: 1 }), fc.constantFrom("rules", "end-user", 'a"b', "a.b"));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 5 }), (path) => {
      expect(parsePath(formatPath(path))).toEqual(path);
    }),
  );
  expect(formatPath(["rules", 0, "headers", "x.y"])).toBe('rules[0].headers["x.y"]');
});
