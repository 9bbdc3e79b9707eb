import type { DirectResponse, Redirect, Rewrite } from "@tulle/policy";
import type { FieldsOf } from "../fields.ts";
import { type Message, message, to } from "../message.ts";
import { isRe2 } from "./string-match.ts";

/** Istio's HTTPRedirect. */
export const redirectMessage: Message<
  "uri" | "prefixRewrite" | "authority" | "port" | "derivePort" | "scheme" | "redirectCode"
> = message("HTTPRedirect", {
  uri: to("redirect.path"),
  prefixRewrite: to("redirect.prefix"),
  authority: to("redirect.host and redirect.port"),
  port: to("redirect.port"),
  derivePort: to("redirect.port"),
  scheme: to("redirect.scheme"),
  redirectCode: to("redirect.status"),
});

/** Istio's HTTPDirectResponse. */
export const directResponseMessage: Message<"status" | "body"> = message("HTTPDirectResponse", {
  status: to("directResponse.status"),
  body: to("directResponse.body"),
});

/** Istio's HTTPBody. */
export const bodyMessage: Message<"string" | "bytes" | "specifier"> = message("HTTPBody", {
  string: to("directResponse.body"),
  bytes: to("directResponse.body, where it is UTF-8"),
  specifier: to("directResponse.body"),
});

/** How Go's protobuf structs print a body when they are not printed as protobuf's JSON. */
export const bodySpecifierMessage: Message<"string_" | "String_" | "bytes" | "Bytes"> = message("HTTPBody.specifier", {
  string_: to("directResponse.body"),
  String_: to("directResponse.body"),
  bytes: to("directResponse.body, where it is UTF-8"),
  Bytes: to("directResponse.body, where it is UTF-8"),
});

/** Istio's HTTPRewrite. */
export const rewriteMessage: Message<"uri" | "authority" | "uriRegexRewrite"> = message("HTTPRewrite", {
  uri: to("rewrite.prefix"),
  authority: to("rewrite.host"),
  uriRegexRewrite: to("rewrite.regex"),
});

/** Istio's RegexRewrite. */
export const regexRewriteMessage: Message<"match" | "rewrite"> = message("RegexRewrite", {
  match: to("rewrite.regex.pattern"),
  rewrite: to("rewrite.regex.substitution"),
});

const redirectStatuses = [301, 302, 303, 307, 308] as const;

/** Reads a redirect. */
export const readRedirect = (fields: FieldsOf<typeof redirectMessage> | undefined): Redirect | undefined => {
  if (fields === undefined) return undefined;
  const path = fields.text("uri") || undefined;
  const prefix = fields.text("prefixRewrite") || undefined;
  if (path !== undefined && prefix !== undefined)
    fields.refuse("prefixRewrite", "uri and prefixRewrite are set: set one");
  const status = fields.integer("redirectCode") || undefined;
  const scheme = fields.text("scheme") || undefined;
  const given = redirectStatuses.find((each) => each === status);
  if (status !== undefined && given === undefined) {
    fields.refuse("redirectCode", `${status} is no redirect: write ${redirectStatuses.join(", ")}`);
  }
  if (scheme !== undefined && scheme !== "http" && scheme !== "https") {
    fields.refuse("scheme", `"${scheme}" is no scheme of the web`);
  }
  const [host, ofHost] = splitAuthority(fields.text("authority") || undefined);
  const port = readPort(fields) ?? ofHost;
  return {
    ...(path === undefined ? {} : { path: path.startsWith("/") ? path : `/${path}` }),
    ...(prefix === undefined ? {} : { prefix }),
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port }),
    ...(scheme === "http" || scheme === "https" ? { scheme } : {}),
    ...(given === undefined ? {} : { status: given }),
  };
};

const readPort = (fields: FieldsOf<typeof redirectMessage>): number | "request" | undefined => {
  const port = fields.integer("port");
  const derived = fields.oneOf("derivePort", ["FROM_PROTOCOL_DEFAULT", "FROM_REQUEST_PORT"]);
  if (port !== undefined && derived !== undefined) fields.refuse("derivePort", "port and derivePort are set: set one");
  if (port !== undefined && (port < 1 || port > 65_535)) fields.refuse("port", `${port} is no port`);
  return derived === "FROM_REQUEST_PORT" ? "request" : port;
};

const splitAuthority = (authority: string | undefined): readonly [string | undefined, number | undefined] => {
  const [, host, port] = /^(.*?)(?::(\d+))?$/.exec(authority ?? "") ?? [];
  return [host || undefined, port === undefined ? undefined : Number(port)];
};

/** Longest body of a policy's answer, bytes. */
const LONGEST_BODY = 4_096;

/** Reads an answer that is given instead of a call. Istio allows a megabyte, a policy 4,096 bytes. */
export const readDirectResponse = (
  fields: FieldsOf<typeof directResponseMessage> | undefined,
): DirectResponse | undefined => {
  if (fields === undefined) return undefined;
  const status = fields.integer("status");
  const body = readBody(fields);
  if (status === undefined || status < 200 || status > 599) {
    fields.refuse("status", `${status ?? "nothing"} is no status of an answer: write 200 to 599`);
    return undefined;
  }
  if (body !== undefined && Buffer.byteLength(body) > LONGEST_BODY) {
    fields.refuse("body", `the body has more than ${LONGEST_BODY} bytes: let a service answer it`);
  }
  return { status, ...(body ? { body } : {}) };
};

const readBody = (fields: FieldsOf<typeof directResponseMessage>): string | undefined => {
  const body = fields.message("body", bodyMessage);
  const specifier = body?.message("specifier", bodySpecifierMessage);
  const text = body?.text("string") ?? specifier?.text("string_") ?? specifier?.text("String_");
  const bytes = body?.text("bytes") ?? specifier?.text("bytes") ?? specifier?.text("Bytes");
  if (text !== undefined && bytes !== undefined) fields.refuse("body", "string and bytes are set: set one");
  if (text !== undefined || bytes === undefined) return text;
  const decoded = Buffer.from(bytes, "base64");
  if (decoded.equals(Buffer.from(decoded.toString("utf8")))) return decoded.toString("utf8");
  fields.refuse("body", "the bytes are no UTF-8 text: let a service answer them");
  return undefined;
};

/** Reads what is sent instead of what was asked for. Istio's `uri` replaces what the match named, or the whole path. */
export const readRewrite = (fields: FieldsOf<typeof rewriteMessage> | undefined): Rewrite | undefined => {
  if (fields === undefined) return undefined;
  const uri = fields.text("uri") || undefined;
  const host = fields.text("authority") || undefined;
  const regexFields = fields.message("uriRegexRewrite", regexRewriteMessage);
  if (uri === undefined && host === undefined && regexFields === undefined) {
    fields.refuse("uri", "a rewrite needs a uri, an authority or a uriRegexRewrite");
  }
  if (uri !== undefined && regexFields !== undefined) {
    fields.refuse("uriRegexRewrite", "uri and uriRegexRewrite are set: set one");
  }
  const regex = regexFields === undefined ? undefined : readRegex(regexFields);
  return {
    ...(uri === undefined || regex !== undefined ? {} : { prefix: uri }),
    ...(regex === undefined ? {} : { regex }),
    ...(host === undefined ? {} : { host }),
  };
};

const readRegex = (fields: FieldsOf<typeof regexRewriteMessage>): NonNullable<Rewrite["regex"]> | undefined => {
  const pattern = fields.text("match");
  const substitution = fields.text("rewrite");
  if (!pattern || substitution === undefined) {
    fields.refuse(pattern ? "rewrite" : "match", "a uriRegexRewrite needs match and rewrite");
    return undefined;
  }
  if (!isRe2(pattern)) fields.refuse("match", `"${pattern}" is no regular expression of RE2`);
  return { pattern, substitution };
};
