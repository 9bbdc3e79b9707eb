import type { Cors, StringMatch } from "@tulle/policy";
import type { FieldsOf } from "../fields.ts";
import { type Message, message, to } from "../message.ts";
import { readStringMatch, stringMatchMessage } from "./string-match.ts";
import { wholeDuration } from "./whole-duration.ts";

/** Istio's CorsPolicy. */
export const corsMessage: Message<
  | "allowOrigin"
  | "allowOrigins"
  | "allowMethods"
  | "allowHeaders"
  | "exposeHeaders"
  | "maxAge"
  | "allowCredentials"
  | "unmatchedPreflights"
> = message("CorsPolicy", {
  allowOrigin: to("cors.allowOrigins"),
  allowOrigins: to("cors.allowOrigins"),
  allowMethods: to("cors.allowMethods"),
  allowHeaders: to("cors.allowHeaders"),
  exposeHeaders: to("cors.exposeHeaders"),
  maxAge: to("cors.maxAge"),
  allowCredentials: to("cors.allowCredentials"),
  unmatchedPreflights: to("cors.unmatchedPreflights"),
});

const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", "*"];

/** Reads what browsers of other origins may do. */
export const readCors = (fields: FieldsOf<typeof corsMessage> | undefined): Cors | undefined => {
  if (fields === undefined) return undefined;
  const exact = (fields.texts("allowOrigin") ?? []).map((origin): StringMatch => ({ exact: origin }));
  const matched = (fields.messages("allowOrigins", stringMatchMessage) ?? []).flatMap(
    (each) => readStringMatch(each) ?? [],
  );
  const allowMethods = fields.texts("allowMethods");
  for (const [at, name] of (allowMethods ?? []).entries()) {
    if (!methods.includes(name)) fields.refuse("allowMethods", `"${name}" is no method of HTTP`, at);
  }
  const allowHeaders = fields.texts("allowHeaders");
  const exposeHeaders = fields.texts("exposeHeaders");
  const maxAge = wholeDuration(fields, "maxAge");
  const allowCredentials = fields.flag("allowCredentials");
  const unmatched = fields.oneOf("unmatchedPreflights", ["UNSPECIFIED", "FORWARD", "IGNORE"]);
  return {
    allowOrigins: [...exact, ...matched],
    ...(allowMethods === undefined ? {} : { allowMethods }),
    ...(allowHeaders === undefined ? {} : { allowHeaders }),
    ...(exposeHeaders === undefined ? {} : { exposeHeaders }),
    ...(maxAge === undefined ? {} : { maxAge }),
    ...(allowCredentials === undefined ? {} : { allowCredentials }),
    ...(unmatched === "IGNORE" ? { unmatchedPreflights: "ignore" } : {}),
  };
};
