import type { HeaderChanges } from "@tulle/policy";
import type { FieldsOf } from "../fields.ts";
import { type Message, message, to } from "../message.ts";
import { checkCount, checkDistinct, wrongHeaderName } from "./field-forms.ts";

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

/** Most headers that a filter sets, adds or removes (Gateway API). */
const MOST_HEADERS = 16;

const LONGEST_VALUE = 4_096;

/** Reads what a filter changes; `undefined` where that is nothing. */
export const readHeaderChanges = (
  fields: FieldsOf<typeof headerFilterMessage> | undefined,
): HeaderChanges | undefined => {
  if (fields === undefined) return undefined;
  const set = readHeaders(fields, "set");
  const add = readHeaders(fields, "add");
  const remove = fields.texts("remove") ?? [];
  checkCount(fields, "remove", remove, MOST_HEADERS);
  checkDistinct(fields, "remove", remove);
  const changes = {
    ...(remove.length === 0 ? {} : { remove }),
    ...(Object.keys(set).length === 0 ? {} : { set }),
    ...(Object.keys(add).length === 0 ? {} : { add }),
  };
  return Object.keys(changes).length === 0 ? undefined : changes;
};

const readHeaders = (
  fields: FieldsOf<typeof headerFilterMessage>,
  field: "set" | "add",
): Readonly<Record<string, string>> => {
  const headers: Record<string, string> = {};
  const seen = new Set<string>();
  const written = fields.messages(field, headerMessage) ?? [];
  checkCount(fields, field, written, MOST_HEADERS);
  checkDistinct(
    fields,
    field,
    written.flatMap((each) => each.text("name") ?? []),
  );
  for (const each of written) {
    const name = each.text("name") ?? "";
    const value = each.text("value") ?? "";
    const wrong = wrongHeaderName(name);
    if (wrong !== undefined) each.refuse("name", wrong);
    if (name === "__proto__") each.refuse("name", `"${name}" is a name that nothing can have here`);
    if (value === "") each.refuse("value", "a value is needed");
    if (value.length > LONGEST_VALUE) each.refuse("value", `the value is longer than ${LONGEST_VALUE} characters`);
    // Of several that differ in case alone the first counts (Gateway API).
    if (!seen.has(name.toLowerCase())) headers[name] = value;
    seen.add(name.toLowerCase());
  }
  return headers;
};
