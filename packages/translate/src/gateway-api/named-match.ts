import type { StringMatch } from "@tulle/policy";
import type { Fields } from "../fields.ts";
import { isRe2 } from "../istio/string-match.ts";
import { type Message, message, to } from "../message.ts";
import { checkCount, checkDistinct, wrongHeaderName } from "./field-forms.ts";

/** The Gateway API's HTTPHeaderMatch, HTTPQueryParamMatch and GRPCHeaderMatch. */
export const namedMatchMessage: Message<"type" | "name" | "value"> = message("HTTPHeaderMatch", {
  type: to("match[].headers, match[].query"),
  name: to("match[].headers, match[].query"),
  value: to("match[].headers, match[].query"),
});

/** Most conditions of one kind in a match (Gateway API). */
const MOST_CONDITIONS = 16;

/** Longest values (Gateway API). */
const longestValue = { headers: 4_096, query: 1_024 } as const;

/** Reads conditions by name. Of several header names that differ in case alone, the first counts (Gateway API). */
export const readNamedMatches = <F extends string>(
  fields: Fields<F>,
  field: F,
  of: "headers" | "query",
): ReadonlyMap<string, StringMatch> => {
  const found = new Map<string, StringMatch>();
  const seen = new Set<string>();
  const written = fields.messages(field, namedMatchMessage) ?? [];
  checkCount(fields, field, written, MOST_CONDITIONS);
  checkDistinct(
    fields,
    field,
    written.flatMap((each) => each.text("name") ?? []),
  );
  for (const each of written) {
    const type = each.oneOf("type", ["Exact", "RegularExpression"]) ?? "Exact";
    const name = each.text("name") ?? "";
    const value = each.text("value") ?? "";
    const wrong = wrongHeaderName(name);
    if (wrong !== undefined) each.refuse("name", wrong);
    if (name === "__proto__") each.refuse("name", `"${name}" is a name that nothing can have here`);
    if (value === "") each.refuse("value", "a value is needed");
    if (value.length > longestValue[of]) {
      each.refuse("value", `the value is longer than ${longestValue[of]} characters`);
    }
    if (type === "RegularExpression" && !isRe2(value)) {
      each.refuse("value", `"${value}" is no regular expression of RE2`);
    }
    const known = of === "query" ? name : name.toLowerCase();
    if (seen.has(known)) continue;
    seen.add(known);
    found.set(name, type === "Exact" ? { exact: value } : { regex: value });
  }
  return found;
};
