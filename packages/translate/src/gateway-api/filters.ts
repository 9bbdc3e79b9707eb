import type { Cors, HeaderChanges, MirrorTarget, Redirect, Rewrite } from "@tulle/policy";
import type { Fields, FieldsOf } from "../fields.ts";
import { type Message, message, refused, to } from "../message.ts";
import type { ReferenceContext } from "./backend-ref.ts";
import { corsFilterMessage, readCors } from "./cors-filter.ts";
import { headerFilterMessage, readHeaderChanges } from "./header-filter.ts";
import { mirrorFilterMessage, readMirror } from "./mirror-filter.ts";
import { readRedirect, readRewrite, redirectFilterMessage, rewriteFilterMessage } from "./path-filters.ts";

const extension = refused("an extension of another implementation is not known here");

/** The Gateway API's HTTPRouteFilter. */
export const httpFilterMessage: Message<
  | "type"
  | "requestHeaderModifier"
  | "responseHeaderModifier"
  | "requestMirror"
  | "requestRedirect"
  | "urlRewrite"
  | "cors"
  | "externalAuth"
  | "extensionRef"
> = message("HTTPRouteFilter", {
  type: to("the filter that is meant"),
  requestHeaderModifier: to("requestHeaders"),
  responseHeaderModifier: to("responseHeaders"),
  requestMirror: to("mirror"),
  requestRedirect: to("redirect"),
  urlRewrite: to("rewrite"),
  cors: to("cors"),
  externalAuth: refused("who may call is said by Access policies: an Access with the action CUSTOM asks an authorizer"),
  extensionRef: extension,
});

/** The Gateway API's GRPCRouteFilter. */
export const grpcFilterMessage: Message<
  "type" | "requestHeaderModifier" | "responseHeaderModifier" | "requestMirror" | "extensionRef"
> = message("GRPCRouteFilter", {
  type: to("the filter that is meant"),
  requestHeaderModifier: to("requestHeaders"),
  responseHeaderModifier: to("responseHeaders"),
  requestMirror: to("mirror"),
  extensionRef: extension,
});

/** What the filters of a rule or a backend become. */
export interface ReadFilters {
  requestHeaders?: HeaderChanges;
  responseHeaders?: HeaderChanges;
  mirror?: readonly MirrorTarget[];
  redirect?: Redirect;
  rewrite?: Rewrite;
  cors?: Cors;
}

/** The field of each filter of a GRPCRoute, by its type. */
const grpcFieldOfType = {
  RequestHeaderModifier: "requestHeaderModifier",
  ResponseHeaderModifier: "responseHeaderModifier",
  RequestMirror: "requestMirror",
  ExtensionRef: "extensionRef",
} as const;

/** The field of each filter of an HTTPRoute, by its type. */
const httpFieldOfType = {
  ...grpcFieldOfType,
  RequestRedirect: "requestRedirect",
  URLRewrite: "urlRewrite",
  CORS: "cors",
  ExternalAuth: "externalAuth",
} as const;

type HttpFilter = FieldsOf<typeof httpFilterMessage>;
type GrpcFilter = FieldsOf<typeof grpcFilterMessage>;

/** Filters that may stand in a rule several times. */
const repeatable: ReadonlySet<string> = new Set(["RequestMirror", "ExtensionRef"]);

/** Reads the filters of an HTTPRoute. */
export const readHttpFilters = (filters: readonly HttpFilter[], references: ReferenceContext): ReadFilters => {
  const read: ReadFilters = {};
  const types = readTypes(filters, httpFieldOfType);
  for (const [filter, type] of types) {
    readCommonFilter(filter, type, read, references);
    if (type === "RequestRedirect") {
      read.redirect = readRedirect(filter.message("requestRedirect", redirectFilterMessage));
    }
    if (type === "URLRewrite") {
      const rewrite = readRewrite(filter.message("urlRewrite", rewriteFilterMessage));
      if (rewrite !== undefined) read.rewrite = rewrite;
    }
    if (type === "CORS") read.cors = readCors(filter.message("cors", corsFilterMessage));
  }
  const [redirect] = types.find(([, type]) => type === "RequestRedirect") ?? [];
  if (redirect !== undefined && types.some(([, type]) => type === "URLRewrite")) {
    references.statuses.refusedFor(redirect.document, "IncompatibleFilters");
    redirect.refuse("type", "a rule redirects or rewrites, not both");
  }
  return read;
};

/** Reads the filters of a GRPCRoute. */
export const readGrpcFilters = (filters: readonly GrpcFilter[], references: ReferenceContext): ReadFilters => {
  const read: ReadFilters = {};
  for (const [filter, type] of readTypes(filters, grpcFieldOfType)) readCommonFilter(filter, type, read, references);
  return read;
};

/** The filters with their types. Refuses what does not go with a type, and a type that is there twice. */
const readTypes = <F extends string, T extends string>(
  filters: readonly Fields<F | "type">[],
  fieldOfType: Readonly<Record<T, F>>,
): readonly (readonly [Fields<F | "type">, T])[] => {
  // The keys of the table, in its order.
  const known = Object.keys(fieldOfType).map((type) => type as T);
  const seen = new Set<string>();
  return filters.flatMap((filter) => {
    const type = filter.oneOf("type", known);
    if (type === undefined) {
      if (!filter.has("type")) filter.refuse("type", "a filter needs its type");
      return [];
    }
    const field = fieldOfType[type];
    if (!filter.has(field)) filter.refuse(field, `a filter of the type ${type} needs it`);
    for (const each of known) {
      const other = fieldOfType[each];
      if (other !== field && filter.has(other)) filter.refuse(other, `the filter is of the type ${type}`);
    }
    if (!repeatable.has(type) && seen.has(type)) filter.refuse("type", `${type} is there twice`);
    seen.add(type);
    return [[filter, type] as const];
  });
};

const readCommonFilter = (filter: GrpcFilter, type: string, read: ReadFilters, references: ReferenceContext): void => {
  switch (type) {
    case "RequestHeaderModifier": {
      const changes = readHeaderChanges(filter.message("requestHeaderModifier", headerFilterMessage));
      if (changes !== undefined) read.requestHeaders = changes;
      return;
    }
    case "ResponseHeaderModifier": {
      const changes = readHeaderChanges(filter.message("responseHeaderModifier", headerFilterMessage));
      if (changes !== undefined) read.responseHeaders = changes;
      return;
    }
    case "RequestMirror": {
      const mirrors = readMirror(filter.message("requestMirror", mirrorFilterMessage), references);
      if (mirrors.length > 0) read.mirror = [...(read.mirror ?? []), ...mirrors];
      return;
    }
    default:
  }
};
