import type { PathMatch } from "@tulle/policy";
import type { FieldsOf } from "../fields.ts";
import { isRe2 } from "../istio/string-match.ts";
import { type Message, message, to } from "../message.ts";
import type { OrderedMatch } from "./http-match.ts";
import { readNamedMatches } from "./named-match.ts";

/** The Gateway API's GRPCRouteMatch. */
export const grpcRouteMatchMessage: Message<"method" | "headers"> = message("GRPCRouteMatch", {
  method: to("match[].path"),
  headers: to("match[].headers"),
});

/** The Gateway API's GRPCMethodMatch. */
export const grpcMethodMatchMessage: Message<"type" | "service" | "method"> = message("GRPCMethodMatch", {
  type: to("match[].path"),
  service: to("match[].path"),
  method: to("match[].path"),
});

/** Without a match a rule is for every call. */
export const everyGrpcCall: OrderedMatch = { match: {}, precedence: [0, 0, 0] };

/** Reads one match. More characters of a service go first, then of a method, then more headers. */
export const readGrpcRouteMatch = (fields: FieldsOf<typeof grpcRouteMatchMessage>): OrderedMatch => {
  const headers = readNamedMatches(fields, "headers", "headers");
  const { service, method, path } = readMethod(fields.message("method", grpcMethodMatchMessage));
  return {
    match: {
      ...(path === undefined ? {} : { path }),
      ...(headers.size === 0 ? {} : { headers: Object.fromEntries(headers) }),
    },
    precedence: [service.length, method.length, headers.size],
  };
};

interface ReadMethod {
  readonly service: string;
  readonly method: string;
  /** `undefined`: every method of every service. */
  readonly path: PathMatch | undefined;
}

const LONGEST_NAME = 1_024;

const names = {
  service: /^\.?[A-Za-z_][A-Za-z_0-9]*(?:\.[A-Za-z_][A-Za-z_0-9]*)*$/,
  method: /^[A-Za-z_][A-Za-z_0-9]*$/,
} as const;

const readMethod = (fields: FieldsOf<typeof grpcMethodMatchMessage> | undefined): ReadMethod => {
  if (fields === undefined) return { service: "", method: "", path: undefined };
  const type = fields.oneOf("type", ["Exact", "RegularExpression"]) ?? "Exact";
  const service = fields.text("service") ?? "";
  const method = fields.text("method") ?? "";
  if (service === "" && method === "") fields.refuse("service", "a service or a method is needed");
  for (const field of ["service", "method"] as const) {
    const value = fields.text(field);
    if (value === undefined) continue;
    if (value.length > LONGEST_NAME) fields.refuse(field, `the name is longer than ${LONGEST_NAME} characters`);
    if (type === "Exact" && !names[field].test(value)) {
      fields.refuse(field, `"${value}" is no name of a ${field} of gRPC`);
    }
    if (type === "RegularExpression" && !isRe2(value)) {
      fields.refuse(field, `"${value}" is no regular expression of RE2`);
    }
  }
  return { service, method, path: pathOf(type, service, method) };
};

/** A call of gRPC is sent to `/service/method`. */
const pathOf = (type: "Exact" | "RegularExpression", service: string, method: string): PathMatch => {
  if (type === "RegularExpression") {
    const part = (pattern: string): string => (pattern === "" ? "[^/]+" : `(?:${pattern})`);
    return { regex: `/${part(service)}/${part(method)}` };
  }
  if (method === "") return { startsWith: `/${service}/` };
  // A method's name has no characters that mean something in a pattern.
  return service === "" ? { regex: `/[^/]+/${method}` } : { exact: `/${service}/${method}` };
};
