import type { Cors, HeaderChanges, MirrorTarget, Redirect, Rewrite, StringMatch } from "@tulle/policy";
import type { FieldsOf } from "../fields.ts";
import { referenceTo } from "../istio/destination.ts";
import { type Message, message, to } from "../message.ts";
import { type ReferenceContext, readServiceReference } from "./backend-ref.ts";

/** The Gateway API's HTTPRouteFilter and GRPCRouteFilter. */
export const filterMessage: Message<
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
  externalAuth: { refused: "who may call is said by Access policies" },
  extensionRef: { refused: "an extension of another implementation is not known here" },
});

/** The Gateway API's HTTPHeaderFilter. */
export const headerFilterMessage: Message<"set" | "add" | "remove"> = message("HTTPHeaderFilter", {
  set: to("requestHeaders.set, responseHeaders.set"),
  add: to("requestHeaders.add, responseHeaders.add"),
  remove: to("requestHeaders.remove, responseHeaders.remove"),
});

/** The Gateway API's HTTPHeader. */
export const headerMessage: Message<"name" | "value"> = message("HTTPHeader", {
  name: to("a header's name"),
  value: to("a header's value"),
});

/** The Gateway API's HTTPRequestMirrorFilter. */
export const mirrorFilterMessage: Message<"backendRef" | "percent" | "fraction"> = message("HTTPRequestMirrorFilter", {
  backendRef: to("mirror[].service"),
  percent: to("mirror[].percent"),
  fraction: to("mirror[].percent"),
});

/** The Gateway API's Fraction. */
export const fractionMessage: Message<"numerator" | "denominator"> = message("Fraction", {
  numerator: to("percent"),
  denominator: to("percent"),
});

/** The Gateway API's BackendObjectReference. */
export const objectReferenceMessage: Message<"group" | "kind" | "name" | "namespace" | "port"> = message(
  "BackendObjectReference",
  {
    group: to("service"),
    kind: to("service"),
    name: to("service"),
    namespace: to("service"),
    port: to("whether the service has it"),
  },
);

/** The Gateway API's HTTPRequestRedirectFilter. */
export const redirectFilterMessage: Message<"scheme" | "hostname" | "path" | "port" | "statusCode"> = message(
  "HTTPRequestRedirectFilter",
  {
    scheme: to("redirect.scheme"),
    hostname: to("redirect.host"),
    path: to("redirect.path, redirect.prefix"),
    port: to("redirect.port"),
    statusCode: to("redirect.status"),
  },
);

/** The Gateway API's HTTPURLRewriteFilter. */
export const rewriteFilterMessage: Message<"hostname" | "path"> = message("HTTPURLRewriteFilter", {
  hostname: to("rewrite.host"),
  path: to("rewrite.path, rewrite.prefix"),
});

/** The Gateway API's HTTPPathModifier. */
export const pathModifierMessage: Message<"type" | "replaceFullPath" | "replacePrefixMatch"> = message(
  "HTTPPathModifier",
  { type: to("path or prefix"), replaceFullPath: to("path"), replacePrefixMatch: to("prefix") },
);

/** The Gateway API's HTTPCORSFilter. */
export const corsFilterMessage: Message<
  "allowOrigins" | "allowCredentials" | "allowMethods" | "allowHeaders" | "exposeHeaders" | "maxAge"
> = message("HTTPCORSFilter", {
  allowOrigins: to("cors.allowOrigins"),
  allowCredentials: to("cors.allowCredentials"),
  allowMethods: to("cors.allowMethods"),
  allowHeaders: to("cors.allowHeaders"),
  exposeHeaders: to("cors.exposeHeaders"),
  maxAge: to("cors.maxAge"),
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

/** The field of each filter, by its type. */
const fieldOfType = {
  RequestHeaderModifier: "requestHeaderModifier",
  ResponseHeaderModifier: "responseHeaderModifier",
  RequestMirror: "requestMirror",
  RequestRedirect: "requestRedirect",
  URLRewrite: "urlRewrite",
  CORS: "cors",
  ExternalAuth: "externalAuth",
  ExtensionRef: "extensionRef",
} as const;

type FilterType = keyof typeof fieldOfType;
// The keys of the table above, in its order.
const filterTypes = Object.keys(fieldOfType) as readonly FilterType[];

/** Reads filters. Each type but the mirror's at most once. */
export const readFilters = (
  filters: readonly FieldsOf<typeof filterMessage>[],
  references: ReferenceContext,
): ReadFilters => {
  const read: ReadFilters = {};
  const seen = new Set<string>();
  for (const filter of filters) {
    const type = filter.oneOf("type", filterTypes);
    if (type === undefined) {
      if (!filter.has("type")) filter.refuse("type", "a filter needs its type");
      continue;
    }
    const field = fieldOfType[type];
    if (!filter.has(field)) filter.refuse(field, `a filter of the type ${type} needs it`);
    for (const other of Object.values(fieldOfType)) {
      if (other !== field && filter.has(other)) filter.refuse(other, `the filter is of the type ${type}`);
    }
    if (type !== "RequestMirror" && seen.has(type)) filter.refuse("type", `${type} is there twice`);
    seen.add(type);
    readFilter(filter, type, read, references);
  }
  if (seen.has("RequestRedirect") && seen.has("URLRewrite")) {
    filters[0]?.refuse("type", "a rule redirects or rewrites, not both");
  }
  return read;
};

const readFilter = (
  filter: FieldsOf<typeof filterMessage>,
  type: FilterType,
  read: ReadFilters,
  references: ReferenceContext,
): void => {
  switch (type) {
    case "RequestHeaderModifier":
      read.requestHeaders = readHeaderChanges(filter.message("requestHeaderModifier", headerFilterMessage));
      return;
    case "ResponseHeaderModifier":
      read.responseHeaders = readHeaderChanges(filter.message("responseHeaderModifier", headerFilterMessage));
      return;
    case "RequestMirror":
      read.mirror = [
        ...(read.mirror ?? []),
        ...readMirror(filter.message("requestMirror", mirrorFilterMessage), references),
      ];
      return;
    case "RequestRedirect":
      read.redirect = readRedirect(filter.message("requestRedirect", redirectFilterMessage));
      return;
    case "URLRewrite":
      read.rewrite = readRewrite(filter.message("urlRewrite", rewriteFilterMessage));
      return;
    case "CORS":
      read.cors = readCors(filter.message("cors", corsFilterMessage));
      return;
    default:
  }
};

const readHeaderChanges = (fields: FieldsOf<typeof headerFilterMessage> | undefined): HeaderChanges => {
  if (fields === undefined) return {};
  const set = readHeaders(fields, "set");
  const add = readHeaders(fields, "add");
  const remove = fields.texts("remove") ?? [];
  return {
    ...(remove.length === 0 ? {} : { remove }),
    ...(Object.keys(set).length === 0 ? {} : { set }),
    ...(Object.keys(add).length === 0 ? {} : { add }),
  };
};

const readHeaders = (
  fields: FieldsOf<typeof headerFilterMessage>,
  field: "set" | "add",
): Readonly<Record<string, string>> => {
  const headers: Record<string, string> = {};
  const seen = new Set<string>();
  for (const each of fields.messages(field, headerMessage) ?? []) {
    const name = each.text("name") ?? "";
    if (!/^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$/.test(name)) each.refuse("name", `"${name}" is no name of a header`);
    // Of several of one name the first counts (Gateway API).
    else if (!seen.has(name.toLowerCase())) headers[name] = each.text("value") ?? "";
    seen.add(name.toLowerCase());
  }
  return headers;
};

const readMirror = (
  fields: FieldsOf<typeof mirrorFilterMessage> | undefined,
  references: ReferenceContext,
): readonly MirrorTarget[] => {
  const reference = fields?.message("backendRef", objectReferenceMessage);
  if (fields === undefined || reference === undefined) {
    fields?.refuse("backendRef", "a mirror needs a backend");
    return [];
  }
  const key = readServiceReference(reference, references);
  const percent = fields.integer("percent");
  const fraction = fields.message("fraction", fractionMessage);
  if (percent !== undefined && fraction !== undefined)
    fields.refuse("fraction", "percent and fraction are set: set one");
  if (percent !== undefined && (percent < 0 || percent > 100))
    fields.refuse("percent", `${percent} is no share in percent`);
  const numerator = fraction?.integer("numerator") ?? 0;
  const denominator = fraction?.integer("denominator") ?? 100;
  if (numerator < 0 || denominator < 1 || numerator > denominator) fields.refuse("fraction", "this is no share");
  const share = percent ?? (fraction === undefined ? undefined : (100 * numerator) / Math.max(1, denominator));
  if (key === undefined) return [];
  return [{ service: referenceTo(key, fields.document.namespace), ...(share === undefined ? {} : { percent: share }) }];
};

const redirectStatuses = [301, 302, 303, 307, 308] as const;

/** The Gateway API's defaults are others than a policy's: 302, and the well-known port of a scheme that is named. */
const readRedirect = (fields: FieldsOf<typeof redirectFilterMessage> | undefined): Redirect => {
  const scheme = fields?.oneOf("scheme", ["http", "https"]);
  const host = readHostname(fields);
  const port = fields?.integer("port");
  const status = fields?.integer("statusCode");
  const known = status === undefined ? 302 : redirectStatuses.find((each) => each === status);
  if (known === undefined)
    fields?.refuse("statusCode", `${status} is no redirect: write ${redirectStatuses.join(", ")}`);
  if (port !== undefined && (port < 1 || port > 65_535)) fields?.refuse("port", `${port} is no port`);
  const wellKnown = scheme === undefined ? ("request" as const) : scheme === "https" ? 443 : 80;
  return {
    ...(scheme === undefined ? {} : { scheme }),
    port: port ?? wellKnown,
    ...(host === undefined ? {} : { host }),
    ...readPathModifier(fields?.message("path", pathModifierMessage)),
    ...(known === undefined ? {} : { status: known }),
  };
};

const readRewrite = (fields: FieldsOf<typeof rewriteFilterMessage> | undefined): Rewrite => {
  const host = readHostname(fields);
  return {
    ...(host === undefined ? {} : { host }),
    ...readPathModifier(fields?.message("path", pathModifierMessage)),
  };
};

const readHostname = (
  fields: FieldsOf<typeof redirectFilterMessage> | FieldsOf<typeof rewriteFilterMessage> | undefined,
): string | undefined => {
  const host = fields?.text("hostname");
  if (host === undefined || /^[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?$/.test(host)) return host;
  fields?.refuse("hostname", `"${host}" is no name of a host`);
  return undefined;
};

const readPathModifier = (
  fields: FieldsOf<typeof pathModifierMessage> | undefined,
): { readonly path?: string; readonly prefix?: string } => {
  const type = fields?.oneOf("type", ["ReplaceFullPath", "ReplacePrefixMatch"]);
  if (fields === undefined || type === undefined) {
    if (fields?.has("type") === false) fields.refuse("type", "a change of the path needs its type");
    return {};
  }
  const [field, other] =
    type === "ReplaceFullPath"
      ? (["replaceFullPath", "replacePrefixMatch"] as const)
      : (["replacePrefixMatch", "replaceFullPath"] as const);
  const value = fields.text(field);
  if (value === undefined) fields.refuse(field, `a change of the type ${type} needs it`);
  if (fields.has(other)) fields.refuse(other, `the change is of the type ${type}`);
  if (value === undefined) return {};
  return field === "replaceFullPath" ? { path: value === "" ? "/" : value } : { prefix: value };
};

const readCors = (fields: FieldsOf<typeof corsFilterMessage> | undefined): Cors => {
  const origins = (fields?.texts("allowOrigins") ?? []).map(originMatch);
  const allowMethods = fields?.texts("allowMethods");
  const allowHeaders = fields?.texts("allowHeaders");
  const exposeHeaders = fields?.texts("exposeHeaders");
  const allowCredentials = fields?.flag("allowCredentials");
  const maxAge = fields?.integer("maxAge") ?? DEFAULT_MAX_AGE_SECONDS;
  return {
    allowOrigins: origins,
    ...(allowMethods === undefined ? {} : { allowMethods }),
    ...(allowHeaders === undefined ? {} : { allowHeaders }),
    ...(exposeHeaders === undefined ? {} : { exposeHeaders }),
    ...(allowCredentials === undefined ? {} : { allowCredentials }),
    maxAge: `${maxAge}s`,
  };
};

/** The Gateway API's default. */
const DEFAULT_MAX_AGE_SECONDS = 5;

/** `https://*.example.com` is every origin below the name. */
const originMatch = (origin: string): StringMatch => {
  if (origin === "*" || !origin.includes("*")) return { exact: origin };
  const pattern = origin.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", "[^/]+");
  return { regex: pattern };
};
