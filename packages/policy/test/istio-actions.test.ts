import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { type Cors, compileCors } from "../src/cors-policy.ts";
import type { Duration } from "../src/duration.ts";
import { compileHeaderChanges, type HeaderChanges } from "../src/header-changes-policy.ts";
import { compileRedirect } from "../src/redirect-policy.ts";
import { compileRewrite } from "../src/rewrite-policy.ts";
import { compileRoutes } from "../src/route-matcher.ts";
import type { RoutePolicy, RouteRule, WeightedDestination } from "../src/route-policy.ts";
import { parsePolicies } from "../src/schema.ts";
import { corpus } from "./corpus.ts";

// Istio's own traffic tests for the actions of a VirtualService, decided by our policies.

type Headers = Readonly<Record<string, string>>;

interface Traffic {
  readonly traffic: readonly {
    readonly name: string;
    readonly yaml: string;
    readonly calls: readonly {
      readonly name?: string;
      readonly request: {
        readonly port: string;
        readonly method: string;
        readonly path: string;
        readonly host?: string;
        readonly headers?: Headers;
        readonly followRedirects?: boolean;
      };
      readonly expect: {
        readonly status: readonly number[];
        readonly headers?: Headers;
        readonly upstream?: { readonly host?: string; readonly path?: string; readonly headers?: Headers };
      };
    }[];
  }[];
}

interface HeaderOperations {
  readonly request?: { readonly set?: Headers; readonly add?: Headers };
}

/** What is read of a VirtualService's rule. */
interface HttpRule {
  readonly match?: readonly { readonly uri: { readonly exact: string } }[];
  readonly redirect?: { readonly uri?: string; readonly derivePort?: string };
  readonly rewrite?: { readonly uri: string };
  readonly headers?: HeaderOperations;
  readonly route?: readonly { readonly headers?: HeaderOperations }[];
  readonly corsPolicy?: Omit<Cors, "maxAge"> & { readonly maxAge: Duration };
}

const isHost = (name: string): boolean => name === ":authority" || name.toLowerCase() === "host";

/** Istio sets the Host among the headers; here it is rewritten. */
const headersOf = (
  operations: HeaderOperations | undefined,
): { readonly requestHeaders?: HeaderChanges; readonly rewrite?: { readonly host: string } } => {
  const { set = {}, add = {} } = operations?.request ?? {};
  const host = Object.entries(set).find(([name]) => isHost(name))?.[1];
  const kept = Object.fromEntries(Object.entries(set).filter(([name]) => !isHost(name)));
  const changes = {
    ...(Object.keys(kept).length > 0 ? { set: kept } : {}),
    ...(Object.keys(add).length > 0 ? { add } : {}),
  };
  return {
    ...(Object.keys(changes).length > 0 ? { requestHeaders: changes } : {}),
    ...(host === undefined ? {} : { rewrite: { host } }),
  };
};

const destinationOf = ({ headers }: NonNullable<HttpRule["route"]>[number]): WeightedDestination => headersOf(headers);

const ruleOf = ({ match, redirect, rewrite, headers, route, corsPolicy }: HttpRule): RouteRule => ({
  ...(match === undefined ? {} : { match: match.map(({ uri }) => ({ path: uri })) }),
  ...(redirect === undefined
    ? {}
    : {
        redirect: {
          ...(redirect.uri === undefined ? {} : { path: redirect.uri }),
          ...(redirect.derivePort === "FROM_REQUEST_PORT" ? { port: "request" as const } : {}),
        },
      }),
  ...headersOf(headers),
  ...(rewrite === undefined ? {} : { rewrite: { path: rewrite.uri } }),
  ...(route === undefined ? {} : { split: route.map(destinationOf) }),
  ...(corsPolicy === undefined ? {} : { cors: corsPolicy }),
});

const noPatterns = (): never => {
  throw new Error("the documents have no pattern");
};
const matcherOf = (routes: readonly RoutePolicy[]) => compileRoutes(routes, noPatterns);

const ports: Readonly<Record<string, number>> = { http: 80, http2: 85 };

/** The value of a header in a flat list; "" is none, as in the document. */
const headerIn = (list: readonly string[], name: string): string => {
  const at = list.findIndex((each, place) => place % 2 === 0 && each.toLowerCase() === name.toLowerCase());
  return at < 0 ? "" : (list[at + 1] ?? "");
};

const document = corpus<Traffic>("istio/traffic.json");
const names = ["added header", "set authority header", "set host header in route and destination"];
const chosen = [...names, "redirect", "redirect request port", "rewrite uri", "cors"];
const found = document.read()?.traffic.filter(({ name }) => chosen.includes(name));

test.skipIf(document.missing)(`the document holds the cases${document.note}`, () => {
  expect(found?.map(({ name }) => name)).toEqual(chosen);
});

describe.each(found ?? [])("$name", ({ yaml, calls }) => {
  const { spec } = parse(yaml) as { spec: { http: readonly HttpRule[] } };
  const policy: RoutePolicy = { kind: "Route", name: "default", services: ["b"], rules: spec.http.map(ruleOf) };

  test("its document is a policy without a problem", () => {
    expect(parsePolicies([policy]).problems).toEqual([]);
  });

  test.each(calls)("call %#: $request.method $request.path", ({ request, expect: expected }) => {
    const given = Object.fromEntries(
      Object.entries(request.headers ?? {}).map(([name, each]) => [name.toLowerCase(), each]),
    );
    const asked = (path: string) => ({
      method: request.method,
      scheme: "http",
      path: path.replace(/#.*/, ""),
      authority: request.host ?? "b",
      port: ports[request.port] ?? 0,
      header: (name: string) => given[name],
    });
    let question = asked(request.path);
    let met = matcherOf([policy])(question);
    let rule = met?.rule ?? {};
    if (rule.redirect !== undefined) {
      const location = compileRedirect(rule.redirect, noPatterns)(question, met?.match);
      if (request.followRedirects !== true) {
        expect(location).toBe(expected.headers?.Location);
        return;
      }
      question = asked(location.slice("http://b".length));
      met = matcherOf([policy])(question);
      rule = met?.rule ?? {};
    }
    const { path = question.path, host = question.authority, headers = {} } = expected.upstream ?? {};
    const rewritten = rule.rewrite && compileRewrite(rule.rewrite, noPatterns)?.(question, met?.match);
    expect(rewritten ?? question.path).toBe(path);
    expect(rule.rewrite?.host ?? rule.split?.[0]?.rewrite?.host ?? question.authority).toBe(host);
    const sent = compileHeaderChanges([rule.split?.[0]?.requestHeaders, rule.requestHeaders])?.([]) ?? [];
    for (const [name, value] of Object.entries(headers)) expect(headerIn(sent, name)).toBe(value);
    const decision = rule.cors && compileCors(rule.cors, noPatterns)(question);
    const answered = decision?.kind === "answer" ? decision.headers : (decision?.change([]) ?? []);
    for (const [name, value] of Object.entries(expected.headers ?? {})) expect(headerIn(answered, name)).toBe(value);
  });
});
