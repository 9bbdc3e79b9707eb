import { describe, expect, test } from "vitest";
import { grpcRoute, httpRoute, kubernetesService, refusalsOf, rulesOf } from "../../test/gateway-documents.ts";
import { translated } from "../../test/translated.ts";

const to = "backendRefs: [{ name: v1, port: 80 }]";
const withFilters = (filters: string, rest = to): string => httpRoute(`[{ filters: [${filters}], ${rest} }]`);
const ruleWith = (filters: string, rest = to) => rulesOf(withFilters(filters, rest))[0];
const refusedFor = (filters: string, rest = to) => refusalsOf(withFilters(filters, rest));
const many = (count: number, of: (at: number) => string): string =>
  Array.from({ length: count }, (_, at) => of(at)).join(", ");

describe("filters of headers", () => {
  const request = (changes: string): string => `{ type: RequestHeaderModifier, requestHeaderModifier: ${changes} }`;

  test("change what is sent and what is answered", () => {
    const response = "{ type: ResponseHeaderModifier, responseHeaderModifier: { add: [{ name: c, value: d }] } }";
    expect(ruleWith(`${request("{ set: [{ name: a, value: b }], remove: [x] }")}, ${response}`)).toMatchObject({
      requestHeaders: { set: { a: "b" }, remove: ["x"] },
      responseHeaders: { add: { c: "d" } },
    });
  });

  test("of a backend change what is sent there", () => {
    const rest = `backendRefs: [{ name: v1, port: 80, filters: [${request("{ set: [{ name: a, value: b }] }")}] }]`;
    expect(ruleWith("", rest)).toMatchObject({ split: [{ service: "v1", requestHeaders: { set: { a: "b" } } }] });
  });

  test("that change nothing are left out", () => {
    expect(ruleWith(request("{}"))).toEqual({ name: "route/0", split: [{ service: "v1" }] });
  });

  test("take the first of two names that differ in case alone", () => {
    expect(ruleWith(request("{ set: [{ name: a, value: b }, { name: A, value: c }] }"))).toMatchObject({
      requestHeaders: { set: { a: "b" } },
    });
  });

  test.each([
    [request("{ set: [{ name: a, value: b }, { name: a, value: c }] }"), '"a" is there twice'],
    [request("{ remove: [a, a] }"), '"a" is there twice'],
    [request("{ set: [{ name: a }] }"), "a value is needed"],
    [request("{ set: [{ name: 'a b', value: c }] }"), "no name of a header"],
    [request(`{ set: [${many(17, (at) => `{ name: h${at}, value: v }`)}] }`), "17 are more than 16"],
    [`${request("{ remove: [a] }")}, ${request("{ remove: [b] }")}`, "RequestHeaderModifier is there twice"],
    ["{ type: RequestHeaderModifier }", "needs it"],
    ["{ requestHeaderModifier: {} }", "a filter needs its type"],
    ["{ type: RequestHeaderModifier, requestHeaderModifier: { remove: [a] }, urlRewrite: {} }", "is of the type"],
    ["{ type: ExtensionRef, extensionRef: { group: x, kind: y, name: z } }", "another implementation"],
    ["{ type: ExternalAuth, externalAuth: { protocol: HTTP } }", "Access policies"],
    [
      many(17, () => "{ type: RequestMirror, requestMirror: { backendRef: { name: v1, port: 80 } } }"),
      "17 are more than 16",
    ],
  ])("%s is refused", (filters, reason) => {
    expect(refusedFor(filters)).toEqual(expect.arrayContaining([expect.stringContaining(reason)]));
  });
});

describe("a filter that mirrors", () => {
  const mirror = (rest: string): string =>
    `{ type: RequestMirror, requestMirror: { backendRef: { name: v2, port: 80 }${rest} } }`;

  test.each([
    ["", [{ service: "v2" }]],
    [", percent: 20", [{ service: "v2", percent: 20 }]],
    [", fraction: { numerator: 1, denominator: 8 }", [{ service: "v2", percent: 12.5 }]],
    [", fraction: { numerator: 3 }", [{ service: "v2", percent: 3 }]],
  ])("with %j copies to %o", (rest, expected) => expect(ruleWith(mirror(rest))?.mirror).toEqual(expected));

  test("may stand there several times", () => {
    expect(ruleWith(`${mirror("")}, ${mirror(", percent: 1")}`)?.mirror).toHaveLength(2);
  });

  test("copies nothing to what is not there, and the calls go on", () => {
    const known = kubernetesService("reviews") + kubernetesService("v1");
    expect(rulesOf(known + withFilters(mirror("")))).toEqual([{ name: "route/0", split: [{ service: "v1" }] }]);
  });

  test.each([
    [mirror(", percent: 101"), "no share in percent"],
    [mirror(", percent: 1, fraction: { numerator: 1 }"), "set one"],
    [mirror(", fraction: { numerator: 2, denominator: 1 }"), "no share"],
    [mirror(", fraction: { numerator: 0, denominator: 0 }"), "no share"],
    [mirror(", fraction: { denominator: 2 }"), "needs its numerator"],
    ["{ type: RequestMirror, requestMirror: { backendRef: { name: v2 } } }", "needs a port"],
  ])("%s is refused", (filters, reason) => expect(refusedFor(filters)).toEqual([expect.stringContaining(reason)]));
});

describe("a filter that redirects", () => {
  const redirect = (fields: string): string => `{ type: RequestRedirect, requestRedirect: ${fields} }`;
  const prefix = "path: { type: ReplacePrefixMatch, replacePrefixMatch: /b }";
  const matches = "matches: [{ path: { value: /a } }]";

  test.each([
    ["{}", { port: "request", status: 302 }],
    ["{ scheme: https }", { scheme: "https", port: 443, status: 302 }],
    ["{ hostname: shop.example, port: 8080, statusCode: 301 }", { host: "shop.example", port: 8080, status: 301 }],
    ["{ path: { type: ReplaceFullPath, replaceFullPath: /b } }", { port: "request", path: "/b", status: 302 }],
  ])("%s is %o", (fields, expected) => expect(ruleWith(redirect(fields), "")?.redirect).toEqual(expected));

  test.each([
    [redirect("{}"), to, "leads to no backend"],
    [redirect("{ statusCode: 200 }"), "", "is no redirect"],
    [redirect("{ hostname: 'a..b' }"), "", "no name of a host"],
    [redirect("{ hostname: '*.b' }"), "", "no name of a host"],
    [redirect("{ port: 0 }"), "", "is no port"],
    [redirect("{ path: { type: ReplaceFullPath } }"), "", "needs it"],
    [redirect(`{ ${prefix} }`), "matches: [{ path: { type: Exact, value: /a } }]", "exactly one match, by PathPrefix"],
    [redirect(`{ ${prefix} }`), "matches: [{ path: { value: /a } }, { path: { value: /b } }]", "exactly one match"],
    [`${redirect("{}")}, { type: URLRewrite, urlRewrite: { hostname: a } }`, "", "not both"],
  ])("%s with %j is refused", (filters, rest, reason) => {
    expect(refusedFor(filters, rest)).toEqual(expect.arrayContaining([expect.stringContaining(reason)]));
  });

  test("replaces a prefix that one match names", () => {
    expect(ruleWith(redirect(`{ ${prefix} }`), matches)?.redirect).toMatchObject({ prefix: "/b" });
  });
});

describe("a filter that rewrites", () => {
  const rewrite = (fields: string): string => `{ type: URLRewrite, urlRewrite: ${fields} }`;

  test("changes the host and the path", () => {
    expect(
      ruleWith(rewrite("{ hostname: a.example, path: { type: ReplacePrefixMatch, replacePrefixMatch: /b } }")),
    ).toMatchObject({
      match: [{ path: { prefix: "/" } }],
      rewrite: { host: "a.example", prefix: "/b" },
    });
  });

  test("is left out where it changes nothing", () => expect(ruleWith(rewrite("{}"))).not.toHaveProperty("rewrite"));

  test("does not belong to a backend", () => {
    const rest = `backendRefs: [{ name: v1, port: 80, filters: [${rewrite("{ hostname: a.example }")}] }]`;
    expect(refusedFor("", rest)).toEqual([expect.stringContaining("others belong to the rule")]);
  });
});

describe("a filter of CORS", () => {
  const cors = (fields: string): string => `{ type: CORS, cors: ${fields} }`;

  test("says who may call", () => {
    expect(
      ruleWith(cors("{ allowOrigins: ['https://a.example', 'https://*.b.example'], allowMethods: [GET], maxAge: 60 }"))
        ?.cors,
    ).toEqual({
      allowOrigins: [{ exact: "https://a.example" }, { regex: "https://[^/]+\\.b\\.example" }],
      allowMethods: ["GET"],
      maxAge: "60s",
    });
  });

  test("with credentials names all methods, for browsers would take * for one", () => {
    expect(
      ruleWith(cors("{ allowOrigins: ['*'], allowMethods: ['*'], allowCredentials: true }"))?.cors?.allowMethods,
    ).toHaveLength(9);
    expect(
      translated(withFilters(cors("{ allowOrigins: ['*'], allowHeaders: ['*'], allowCredentials: true }"))).findings,
    ).toEqual([expect.stringContaining("write the names of the headers")]);
  });

  test.each([
    ["{ allowOrigins: ['*', 'https://a.example'] }", "stands alone"],
    ["{ allowOrigins: [a.example] }", "is no origin"],
    ["{ allowOrigins: ['https://a.example:port'] }", "is no origin"],
    ["{ allowOrigins: ['https://a.example', 'https://a.example'] }", "is there twice"],
    ["{ allowMethods: [BAZINGA] }", "is no method"],
    ["{ allowMethods: [GET, '*'] }", "stands alone"],
    ["{ allowHeaders: ['a b'] }", "no name of a header"],
    ["{ maxAge: 0 }", "too short"],
    [`{ exposeHeaders: [${many(65, (at) => `h${at}`)}] }`, "65 are more than 64"],
  ])("%s is refused", (fields, reason) => expect(refusedFor(cors(fields))).toEqual([expect.stringContaining(reason)]));
});

test("a GRPCRoute's filters change headers and mirror", () => {
  const filters =
    "[{ type: RequestHeaderModifier, requestHeaderModifier: { remove: [x] } }, { type: RequestMirror, requestMirror: { backendRef: { name: v2, port: 80 } } }]";
  expect(rulesOf(grpcRoute(`[{ filters: ${filters}, ${to} }]`))[0]).toMatchObject({
    requestHeaders: { remove: ["x"] },
    mirror: [{ service: "v2" }],
  });
});
