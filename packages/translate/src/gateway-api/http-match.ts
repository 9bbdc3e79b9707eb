import type { RouteMatch } from "@tulle/policy";
import type { FieldsOf } from "../fields.ts";
import { isRe2 } from "../istio/string-match.ts";
import { type Message, message, to } from "../message.ts";
import { readNamedMatches } from "./named-match.ts";
import type { Precedence } from "./precedence.ts";

/** The Gateway API's HTTPRouteMatch. */
export const httpRouteMatchMessage: Message<"path" | "headers" | "queryParams" | "method"> = message("HTTPRouteMatch", {
  path: to("match[].path"),
  headers: to("match[].headers"),
  queryParams: to("match[].query"),
  method: to("match[].methods"),
});

/** The Gateway API's HTTPPathMatch. */
export const httpPathMatchMessage: Message<"type" | "value"> = message("HTTPPathMatch", {
  type: to("match[].path"),
  value: to("match[].path"),
});

const methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"] as const;

/** A match with what decides its place among others. */
export interface OrderedMatch {
  readonly match: RouteMatch;
  readonly precedence: Precedence;
}

/** Without a match a rule is for every path. */
export const everyHttpCall: OrderedMatch = { match: {}, precedence: [0, 1, 0, 0, 0] };

/** Whether a match is by PathPrefix, as it is without a path. */
export const isByPrefix = ({ match }: OrderedMatch): boolean => match.path === undefined || "prefix" in match.path;

/** Reads one match; without a path it is every path's. */
export const readHttpRouteMatch = (fields: FieldsOf<typeof httpRouteMatchMessage>): OrderedMatch => {
  const path = readPath(fields.message("path", httpPathMatchMessage));
  const headers = readNamedMatches(fields, "headers", "headers");
  const query = readNamedMatches(fields, "queryParams", "query");
  const method = fields.oneOf("method", methods);
  return {
    match: {
      ...path.match,
      ...(method === undefined ? {} : { methods: [method] }),
      ...(headers.size === 0 ? {} : { headers: Object.fromEntries(headers) }),
      ...(query.size === 0 ? {} : { query: Object.fromEntries(query) }),
    },
    // An exact path, then the longer prefix, a method, more headers, more parameters.
    precedence: [...path.precedence, method === undefined ? 0 : 1, headers.size, query.size],
  };
};

const readPath = (
  fields: FieldsOf<typeof httpPathMatchMessage> | undefined,
): { readonly match: RouteMatch; readonly precedence: Precedence } => {
  const type = fields?.oneOf("type", ["Exact", "PathPrefix", "RegularExpression"]) ?? "PathPrefix";
  const value = fields?.text("value") ?? "/";
  if (type === "RegularExpression") {
    if (!isRe2(value)) fields?.refuse("value", `"${value}" is no regular expression of RE2`);
    return { match: { path: { regex: value } }, precedence: [0, value.length] };
  }
  const wrong = wrongPath(value);
  if (wrong !== undefined) fields?.refuse("value", wrong);
  if (type === "Exact") return { match: { path: { exact: value } }, precedence: [1, value.length] };
  const prefix = value.length > 1 ? value.replace(/\/$/, "") : value;
  return {
    match: prefix === "/" ? {} : { path: { prefix } },
    precedence: [0, prefix.length],
  };
};

const LONGEST_PATH = 1_024;

/** The rules of the Gateway API's own definition. */
const wrongPath = (value: string): string | undefined => {
  if (!value.startsWith("/")) return `"${value}" does not begin with "/"`;
  if (value.length > LONGEST_PATH) return `the path is longer than ${LONGEST_PATH} characters`;
  const bad = ["//", "/./", "/../", "%2f", "%2F", "#"].find((each) => value.includes(each));
  if (bad !== undefined) return `"${value}" holds "${bad}"`;
  if (/\/\.{1,2}$/.test(value)) return `"${value}" ends with a dot segment`;
  return /^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9A-Fa-f]{2})+$/.test(value)
    ? undefined
    : `"${value}" is no path of a URL`;
};
