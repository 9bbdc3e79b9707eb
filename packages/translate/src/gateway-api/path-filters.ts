import type { Redirect, Rewrite } from "@tulle/policy";
import type { FieldsOf } from "../fields.ts";
import { type Message, message, to } from "../message.ts";
import { readPort, wrongHostname } from "./field-forms.ts";

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

const redirectStatuses = [301, 302, 303, 307, 308] as const;

/** Reads a redirect. The Gateway API's defaults are others than a policy's: 302, and the well-known port of a scheme that is named. */
export const readRedirect = (fields: FieldsOf<typeof redirectFilterMessage> | undefined): Redirect => {
  const scheme = fields?.oneOf("scheme", ["http", "https"]);
  const host = readHostname(fields);
  const port = fields === undefined ? undefined : readPort(fields, "port");
  const status = fields?.integer("statusCode");
  const known = status === undefined ? 302 : redirectStatuses.find((each) => each === status);
  if (known === undefined)
    fields?.refuse("statusCode", `${status} is no redirect: write ${redirectStatuses.join(", ")}`);
  const wellKnown = scheme === undefined ? ("request" as const) : scheme === "https" ? 443 : 80;
  return {
    ...(scheme === undefined ? {} : { scheme }),
    port: port ?? wellKnown,
    ...(host === undefined ? {} : { host }),
    ...readPathModifier(fields?.message("path", pathModifierMessage)),
    ...(known === undefined ? {} : { status: known }),
  };
};

/** Reads a change of the path or the host; `undefined` where nothing is changed. */
export const readRewrite = (fields: FieldsOf<typeof rewriteFilterMessage> | undefined): Rewrite | undefined => {
  const host = readHostname(fields);
  const path = readPathModifier(fields?.message("path", pathModifierMessage));
  const rewrite = { ...(host === undefined ? {} : { host }), ...path };
  return Object.keys(rewrite).length === 0 ? undefined : rewrite;
};

const readHostname = (
  fields: FieldsOf<typeof redirectFilterMessage> | FieldsOf<typeof rewriteFilterMessage> | undefined,
): string | undefined => {
  const host = fields?.text("hostname");
  const wrong = host === undefined ? undefined : wrongHostname(host);
  if (wrong !== undefined) fields?.refuse("hostname", wrong);
  return host;
};

const LONGEST_PATH = 1_024;

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
  if (value.length > LONGEST_PATH) fields.refuse(field, `the path is longer than ${LONGEST_PATH} characters`);
  return field === "replaceFullPath" ? { path: value === "" ? "/" : value } : { prefix: value };
};
