import { numberLimits, wrongHost } from "./field-limits.ts";
import {
  checkPathReplacement,
  compilePathReplacement,
  type PathReplacement,
  type SubstitutionEngine,
  splitQuery,
  wrongCharacters,
  wrongReplacement,
} from "./path-replacement.ts";
import type { Check } from "./policy-check.ts";
import type { PolicyPath } from "./policy-path.ts";
import type { RouteMatch } from "./route-match.ts";
import type { RouteQuestion } from "./route-matcher.ts";

/** Statuses by which a rule may redirect. */
export const REDIRECT_STATUSES = [301, 302, 303, 307, 308] as const;

/**
 * Answers with a redirect instead of calling. What is not set stays as the call has it: `{ host: "example.org" }` leads to the
 * same path of another host. `path` may bring a query, which then stands for the call's.
 */
export interface Redirect extends PathReplacement {
  /** @default the call's */
  readonly scheme?: "http" | "https";
  /** Without port. @default the call's */
  readonly host?: string;
  /**
   * A number, or `request` for the service port that was called. One that the scheme implies is not written.
   * @default that of the call's host while that stays, less one that only the call's scheme implies (Envoy)
   */
  readonly port?: number | "request";
  /** Leaves the query out. @default false */
  readonly stripQuery?: boolean;
  /** @default 301 (Envoy) */
  readonly status?: (typeof REDIRECT_STATUSES)[number];
}

/** 301 (Envoy). The Gateway API's default is 302. */
export const DEFAULT_REDIRECT_STATUS = 301;

/** Compiles a redirect to the `Location` of each call; `match` is the alternative of its rule that the call met. Pure. */
export const compileRedirect = (
  redirect: Redirect,
  substitute: SubstitutionEngine,
): ((question: RouteQuestion, match: RouteMatch | undefined) => string) => {
  const { path: whole, stripQuery = false } = redirect;
  const replace = compilePathReplacement(redirect, substitute);
  const bringsQuery = whole?.includes("?") === true;
  return (question, match) => {
    const scheme = redirect.scheme ?? schemeOf(question);
    const [path, query] = splitQuery(question.path);
    const kept = bringsQuery || stripQuery ? "" : query;
    return `${scheme}://${authorityOf(redirect, question, scheme)}${replace?.(path, match?.path) ?? path}${kept}`;
  };
};

type Scheme = "http" | "https";

const schemeOf = ({ scheme }: RouteQuestion): Scheme => (scheme === "https" ? "https" : "http");

const impliedPorts = { http: 80, https: 443 } as const;

const authorityOf = ({ host, port }: Redirect, call: RouteQuestion, scheme: Scheme): string => {
  const wanted = port === "request" ? call.port : port;
  const written = wanted === undefined || wanted === impliedPorts[scheme] ? "" : `:${wanted}`;
  if (host !== undefined) return host + written;
  const { name, port: own } = splitAuthority(call.authority);
  // A number is the whole answer; a port that the request or nobody names leaves the host as it was written.
  if (written !== "" || typeof port === "number") return name + written;
  const before = schemeOf(call);
  return scheme !== before && own === String(impliedPorts[before]) ? name : call.authority;
};

const splitAuthority = (authority: string): { readonly name: string; readonly port: string | undefined } => {
  const at = authority.lastIndexOf(":");
  // The colons of an IPv6 address stand within brackets.
  return at < 0 || authority.indexOf("]", at) >= 0
    ? { name: authority, port: undefined }
    : { name: authority.slice(0, at), port: authority.slice(at + 1) };
};

/** Whether a redirect makes sense under the matches of its rule. */
export const checkRedirect = (
  path: PolicyPath,
  redirect: Redirect | undefined,
  matches: readonly RouteMatch[] | undefined,
  check: Check,
): void => {
  if (redirect === undefined) return;
  const { host, port, path: whole } = redirect;
  check.text([...path, "host"], host, wrongHost);
  if (port !== "request") check.number([...path, "port"], port, numberLimits.port);
  const [inPath = "", query = ""] = whole === undefined ? [] : splitQuery(whole);
  if (whole !== undefined) check.text([...path, "path"], inPath, wrongReplacement);
  check.text([...path, "path"], query, wrongQuery);
  checkPathReplacement(path, redirect, matches, check);
};

const wrongQuery = (text: string): string | undefined =>
  text.includes("#") ? `"${text}" is not a query: leave out the fragment` : wrongCharacters(text);
