import type { Cors, StringMatch } from "@tulle/policy";
import type { FieldsOf } from "../fields.ts";
import { type Message, message, to } from "../message.ts";
import { checkCount, checkDistinct, wrongHeaderName } from "./field-forms.ts";

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

/** The Gateway API's default. */
const DEFAULT_MAX_AGE_SECONDS = 5;

/** Most origins and headers in a list (Gateway API). */
const MOST_ITEMS = 64;

const methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"] as const;

/** Reads who of other origins may call. */
export const readCors = (fields: FieldsOf<typeof corsFilterMessage> | undefined): Cors => {
  if (fields === undefined) return { allowOrigins: [] };
  const origins = readList(fields, "allowOrigins", MOST_ITEMS, wrongOrigin);
  const allowMethods = readList(fields, "allowMethods", methods.length, wrongMethod);
  const allowHeaders = readList(fields, "allowHeaders", MOST_ITEMS, wrongHeaderName);
  const exposeHeaders = readList(fields, "exposeHeaders", MOST_ITEMS, wrongHeaderName);
  const allowCredentials = fields.flag("allowCredentials");
  const maxAge = fields.integer("maxAge") ?? DEFAULT_MAX_AGE_SECONDS;
  if (maxAge < 1) fields.refuse("maxAge", `${maxAge} is too short: write 1 or more`);
  if (allowCredentials === true) tellLiteralWildcards(fields, { allowHeaders, exposeHeaders });
  return {
    allowOrigins: (origins ?? []).map(originMatch),
    // With credentials a browser takes "*" for a method of that name.
    ...(allowMethods === undefined
      ? {}
      : { allowMethods: allowCredentials === true && allowMethods.includes("*") ? methods : allowMethods }),
    ...(allowHeaders === undefined ? {} : { allowHeaders }),
    ...(exposeHeaders === undefined ? {} : { exposeHeaders }),
    ...(allowCredentials === undefined ? {} : { allowCredentials }),
    maxAge: `${maxAge}s`,
  };
};

type ListField = "allowOrigins" | "allowMethods" | "allowHeaders" | "exposeHeaders";

const readList = (
  fields: FieldsOf<typeof corsFilterMessage>,
  name: ListField,
  most: number,
  wrong: (item: string) => string | undefined,
): readonly string[] | undefined => {
  const items = fields.texts(name);
  if (items === undefined) return undefined;
  checkCount(fields, name, items, most);
  checkDistinct(fields, name, items);
  if (items.includes("*") && items.length > 1) fields.refuse(name, '"*" stands for all: it stands alone');
  for (const [at, item] of items.entries()) {
    const reason = item === "*" ? undefined : wrong(item);
    if (reason !== undefined) fields.refuse(name, reason, at);
  }
  return items;
};

const wrongMethod = (text: string): string | undefined =>
  methods.some((method) => method === text) ? undefined : `"${text}" is no method: write ${methods.join(", ")}`;

const originForm = /^https?:\/\/(?:(?:\*\.)?(?:[A-Za-z0-9-]+\.)*[A-Za-z0-9-]+|\*)(?::[0-9]{1,5})?$/;

const wrongOrigin = (text: string): string | undefined =>
  originForm.test(text) ? undefined : `"${text}" is no origin such as "https://shop.example"`;

/** The Gateway API would answer with what was asked for; a list of names is all that can be told here. */
const tellLiteralWildcards = (
  fields: FieldsOf<typeof corsFilterMessage>,
  lists: Readonly<Record<"allowHeaders" | "exposeHeaders", readonly string[] | undefined>>,
): void => {
  for (const name of ["allowHeaders", "exposeHeaders"] as const) {
    if (lists[name]?.includes("*") === true) {
      fields.warn(name, 'with allowCredentials browsers take "*" for a name: write the names of the headers');
    }
  }
};

/** `https://*.example.com` is every origin below the name. */
const originMatch = (origin: string): StringMatch => {
  if (origin === "*" || !origin.includes("*")) return { exact: origin };
  const pattern = origin.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&").replaceAll("*", "[^/]+");
  return { regex: pattern };
};
