import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { compileHeaderChanges, type HeaderChanges } from "../src/header-changes-policy.ts";
import { compileRedirect, type Redirect } from "../src/redirect-policy.ts";
import { compileRewrite, type Rewrite } from "../src/rewrite-policy.ts";
import type { RouteMatch } from "../src/route-match.ts";
import { compileRoutes } from "../src/route-matcher.ts";
import type { RoutePolicy, RouteRule } from "../src/route-policy.ts";
import { parsePolicies } from "../src/schema.ts";
import { corpus } from "./corpus.ts";

// The conformance cases of the Gateway API for redirects, rewrites and changed headers, decided by our policies.

type Headers = Readonly<Record<string, string>>;

interface Case {
  readonly id: string;
  readonly request: { readonly path?: string; readonly method?: string; readonly headers?: Headers };
  readonly backendSetsResponseHeaders?: Headers;
  readonly expect: {
    readonly status: readonly number[];
    readonly upstreamRequest?: {
      readonly path?: string;
      readonly headers?: Headers;
      readonly absentHeaders?: string[];
    };
    readonly headers?: Headers;
    readonly absentHeaders?: readonly string[];
    readonly redirect?: { readonly scheme?: string; readonly host?: string; readonly path?: string };
  };
}

interface Cases {
  readonly tests: readonly {
    readonly test: string;
    readonly manifests: readonly string[];
    readonly cases: readonly Case[];
  }[];
}

/** What is read of an HTTPRoute. */
interface HttpRoute {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: { readonly rules: readonly HttpRouteRule[] };
}

interface HttpRouteRule {
  readonly matches?: readonly { readonly path?: { readonly type: string; readonly value: string } }[];
  readonly filters?: readonly Filter[];
}

interface PathModifier {
  readonly replaceFullPath?: string;
  readonly replacePrefixMatch?: string;
}

interface Named {
  readonly name: string;
  readonly value: string;
}

interface HeaderModifier {
  readonly set?: readonly Named[];
  readonly add?: readonly Named[];
  readonly remove?: readonly string[];
}

interface Filter {
  readonly requestRedirect?: {
    readonly scheme?: "http" | "https";
    readonly hostname?: string;
    readonly statusCode?: 301 | 302 | 303 | 307 | 308;
    readonly path?: PathModifier;
  };
  readonly urlRewrite?: { readonly path?: PathModifier };
  readonly requestHeaderModifier?: HeaderModifier;
  readonly responseHeaderModifier?: HeaderModifier;
}

const pathOf = (path: PathModifier | undefined): Pick<Redirect, "path" | "prefix"> => ({
  ...(path?.replaceFullPath === undefined ? {} : { path: path.replaceFullPath }),
  ...(path?.replacePrefixMatch === undefined ? {} : { prefix: path.replacePrefixMatch }),
});

const byName = (list: readonly Named[]): Headers => Object.fromEntries(list.map(({ name, value }) => [name, value]));

const changesOf = ({ set, add, remove }: HeaderModifier): HeaderChanges => ({
  ...(set === undefined ? {} : { set: byName(set) }),
  ...(add === undefined ? {} : { add: byName(add) }),
  ...(remove === undefined ? {} : { remove }),
});

/** The Gateway API's defaults are others: 302, and the well-known port of a scheme that is named. */
const redirectOf = ({ scheme, hostname, statusCode, path }: NonNullable<Filter["requestRedirect"]>): Redirect => ({
  ...(scheme === undefined ? { port: "request" } : { scheme, port: scheme === "https" ? 443 : 80 }),
  ...(hostname === undefined ? {} : { host: hostname }),
  ...pathOf(path),
  status: statusCode ?? 302,
});

const matchOf = ({ path }: NonNullable<HttpRouteRule["matches"]>[number]): RouteMatch =>
  path === undefined ? {} : { path: path.type === "Exact" ? { exact: path.value } : { prefix: path.value } };

const ruleOf = ({ matches, filters = [] }: HttpRouteRule): RouteRule => {
  const rule: { -readonly [Field in keyof RouteRule]: RouteRule[Field] } = {};
  if (matches !== undefined) rule.match = matches.map(matchOf);
  for (const { requestRedirect, urlRewrite, requestHeaderModifier, responseHeaderModifier } of filters) {
    if (requestRedirect !== undefined) rule.redirect = redirectOf(requestRedirect);
    if (urlRewrite !== undefined) rule.rewrite = pathOf(urlRewrite.path) satisfies Rewrite;
    if (requestHeaderModifier !== undefined) rule.requestHeaders = changesOf(requestHeaderModifier);
    if (responseHeaderModifier !== undefined) rule.responseHeaders = changesOf(responseHeaderModifier);
  }
  return rule;
};

const noPatterns = (): never => {
  throw new Error("the documents have no pattern");
};

const matcherOf = (routes: readonly RoutePolicy[]) => compileRoutes(routes, noPatterns);

/** Names in lower case; several values joined. */
const joined = (list: readonly string[]): Headers => {
  const headers: Record<string, string> = {};
  for (let at = 0; at + 1 < list.length; at += 2) {
    const name = (list[at] ?? "").toLowerCase();
    headers[name] = headers[name] === undefined ? (list[at + 1] ?? "") : `${headers[name]},${list[at + 1]}`;
  }
  return headers;
};

const lowerCase = (headers: Headers = {}): Headers => joined(Object.entries(headers).flat());

const document = corpus<Cases>("gateway-api/cases.json");
const found = document
  .read()
  ?.tests.filter(({ test: name }) => /^(Mesh)?HTTPRoute.*(Redirect|Rewrite|HeaderMod)/.test(name));

test.skipIf(document.missing)(`the documents hold the cases${document.note}`, () => {
  expect(found?.flatMap(({ cases }) => cases).length).toBeGreaterThan(40);
});

describe.each(found ?? [])("$test", ({ manifests, cases }) => {
  const routes = manifests
    .flatMap((name) =>
      parseAllDocuments(readFileSync(document.beside(name), "utf8")).map((each) => each.toJS() as HttpRoute | null),
    )
    .filter((each) => each?.kind === "HTTPRoute")
    .map((each): RoutePolicy => {
      const { metadata, spec } = each as HttpRoute;
      return { kind: "Route", name: metadata.name, services: ["front"], rules: spec.rules.map(ruleOf) };
    });

  test("its documents are policies without a problem", () => {
    expect(parsePolicies(routes).problems).toEqual([]);
  });

  test.each(cases)("$id: $request.path", ({ request, backendSetsResponseHeaders = {}, expect: expected }) => {
    const given = lowerCase(request.headers);
    const question = {
      method: request.method ?? "GET",
      path: request.path ?? "/",
      scheme: "http",
      authority: "front",
      port: 80,
      header: (name: string) => given[name],
    };
    const met = matcherOf(routes)(question);
    const rule = met?.rule ?? {};
    if (expected.redirect !== undefined) {
      const { redirect = {} } = rule;
      expect(expected.status).toContain(redirect.status);
      const location = new URL(compileRedirect(redirect, noPatterns)(question, met?.match));
      expect({ scheme: location.protocol.slice(0, -1), host: location.host, path: location.pathname }).toMatchObject(
        expected.redirect,
      );
      return;
    }
    const sent = compileHeaderChanges([rule.requestHeaders])?.(Object.entries(request.headers ?? {}).flat());
    const rewritten = rule.rewrite && compileRewrite(rule.rewrite, noPatterns)?.(question, met?.match);
    const { path, headers, absentHeaders = [] } = expected.upstreamRequest ?? {};
    if (path !== undefined) expect(rewritten ?? question.path).toBe(path);
    expect(sent === undefined ? given : joined(sent)).toMatchObject(lowerCase(headers));
    for (const name of absentHeaders) expect(joined(sent ?? [])).not.toHaveProperty([name.toLowerCase()]);
    const wire = Object.entries(backendSetsResponseHeaders).flat();
    const answered = joined(compileHeaderChanges([rule.responseHeaders])?.(wire) ?? wire);
    expect(answered).toMatchObject(lowerCase(expected.headers));
    for (const name of expected.absentHeaders ?? []) expect(answered).not.toHaveProperty([name.toLowerCase()]);
  });
});
