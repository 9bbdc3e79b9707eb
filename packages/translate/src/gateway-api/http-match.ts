import type { RouteMatch, StringMatch } from "@tulle/policy";
import type { FieldsOf } from "../fields.ts";
import { isRe2 } from "../istio/string-match.ts";
import { type Message, message, to } from "../message.ts";
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

/** The Gateway API's HTTPHeaderMatch, HTTPQueryParamMatch and GRPCHeaderMatch. */
export const namedMatchMessage: Message<"type" | "name" | "value"> = message("HTTPHeaderMatch", {
  type: to("match[].headers, match[].query"),
  name: to("match[].headers, match[].query"),
  value: to("match[].headers, match[].query"),
});

const methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"] as const;

/** A match with what decides its place among others. */
export interface OrderedMatch {
  readonly match: RouteMatch;
  readonly precedence: Precedence;
}

/** Most conditions of one kind in a match (Gateway API). */
const MOST_CONDITIONS = 16;

/** Reads one match; without a path it is every path's. */
export const readHttpRouteMatch = (fields: FieldsOf<typeof httpRouteMatchMessage>): OrderedMatch => {
  const path = readPath(fields.message("path", httpPathMatchMessage));
  const headers = readNamedMatches(fields, "headers");
  const query = readNamedMatches(fields, "queryParams");
  const method = fields.oneOf("method", methods);
  return {
    match: {
      ...path.match,
      ...(method === undefined ? {} : { methods: [method] }),
      ...(headers.size === 0 ? {} : { headers: Object.fromEntries(headers) }),
      ...(query.size === 0 ? {} : { query: Object.fromEntries(query) }),
    },
    precedence: { ...path.precedence, method: method !== undefined, headers: headers.size, query: query.size },
  };
};

type PathOrder = Pick<Precedence, "exact" | "pathLength">;

const readPath = (
  fields: FieldsOf<typeof httpPathMatchMessage> | undefined,
): { readonly match: RouteMatch; readonly precedence: PathOrder } => {
  const type = fields?.oneOf("type", ["Exact", "PathPrefix", "RegularExpression"]) ?? "PathPrefix";
  const value = fields?.text("value") ?? "/";
  if (type === "RegularExpression") {
    if (!isRe2(value)) fields?.refuse("value", `"${value}" is no regular expression of RE2`);
    return { match: { path: { regex: value } }, precedence: { exact: false, pathLength: value.length } };
  }
  const wrong = wrongPath(value);
  if (wrong !== undefined) fields?.refuse("value", wrong);
  if (type === "Exact")
    return { match: { path: { exact: value } }, precedence: { exact: true, pathLength: value.length } };
  const prefix = value.length > 1 ? value.replace(/\/$/, "") : value;
  return {
    match: prefix === "/" ? {} : { path: { prefix } },
    precedence: { exact: false, pathLength: prefix.length },
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

/** Reads conditions by name. Of several for one name, compared without case, the first counts (Gateway API). */
export const readNamedMatches = <F extends string>(
  fields: { messages: FieldsOf<Message<F>>["messages"]; refuse: FieldsOf<Message<F>>["refuse"] },
  field: F,
): ReadonlyMap<string, StringMatch> => {
  const found = new Map<string, StringMatch>();
  const seen = new Set<string>();
  const written = fields.messages(field, namedMatchMessage) ?? [];
  if (written.length > MOST_CONDITIONS) fields.refuse(field, `${written.length} are more than ${MOST_CONDITIONS}`);
  for (const each of written) {
    const type = each.oneOf("type", ["Exact", "RegularExpression"]) ?? "Exact";
    const name = each.text("name") ?? "";
    const value = each.text("value") ?? "";
    if (!/^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$/.test(name))
      each.refuse("name", `"${name}" is no name of a header or parameter`);
    if (value === "" && field !== "queryParams") each.refuse("value", "a value is needed");
    if (type === "RegularExpression" && !isRe2(value))
      each.refuse("value", `"${value}" is no regular expression of RE2`);
    const known = field === "queryParams" ? name : name.toLowerCase();
    if (seen.has(known)) continue;
    seen.add(known);
    found.set(name, type === "Exact" ? { exact: value } : { regex: value });
  }
  return found;
};
