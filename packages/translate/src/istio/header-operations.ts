import type { HeaderChanges } from "@tulle/policy";
import type { FieldsOf } from "../fields.ts";
import { type Message, message, to } from "../message.ts";

/** Istio's HeaderOperations. */
export const headerOperationsMessage: Message<"set" | "add" | "remove"> = message("HeaderOperations", {
  set: to("requestHeaders.set, responseHeaders.set; the Host becomes rewrite.host"),
  add: to("requestHeaders.add, responseHeaders.add"),
  remove: to("requestHeaders.remove, responseHeaders.remove"),
});

/** Istio's Headers. */
export const headersMessage: Message<"request" | "response"> = message("Headers", {
  request: to("requestHeaders"),
  response: to("responseHeaders"),
});

/** What headers become of. */
export interface ReadHeaders {
  readonly requestHeaders?: HeaderChanges;
  readonly responseHeaders?: HeaderChanges;
  /** The Host that is sent; Istio sets it among the headers. */
  readonly host?: string;
}

/** Reads the changes of headers that a route or a destination makes. */
export const readHeaders = (fields: FieldsOf<typeof headersMessage> | undefined): ReadHeaders => {
  const request = readOperations(fields?.message("request", headerOperationsMessage), true);
  const response = readOperations(fields?.message("response", headerOperationsMessage), false);
  return {
    ...(request.changes === undefined ? {} : { requestHeaders: request.changes }),
    ...(response.changes === undefined ? {} : { responseHeaders: response.changes }),
    ...(request.host === undefined ? {} : { host: request.host }),
  };
};

type OperationFields = FieldsOf<typeof headerOperationsMessage>;

const readOperations = (
  fields: OperationFields | undefined,
  ofRequest: boolean,
): { readonly changes?: HeaderChanges; readonly host?: string } => {
  if (fields === undefined) return {};
  const set = readValues(fields, "set");
  const add = readValues(fields, "add");
  const remove = (fields.texts("remove") ?? []).filter((name, at) => isHeaderName(fields, "remove", name, at));
  const host = ofRequest ? [...set].find(([name]) => isHost(name))?.[1] : undefined;
  const kept = [...set].filter(([name]) => !isHost(name) && !isPseudo(fields, "set", name));
  const added = [...add].filter(([name]) => !isPseudo(fields, "add", name));
  const changes: HeaderChanges = {
    ...(remove.length === 0 ? {} : { remove }),
    ...(kept.length === 0 ? {} : { set: Object.fromEntries(kept) }),
    ...(added.length === 0 ? {} : { add: Object.fromEntries(added) }),
  };
  return {
    ...(Object.keys(changes).length === 0 ? {} : { changes }),
    ...(host === undefined ? {} : { host }),
  };
};

const isHost = (name: string): boolean => name === ":authority" || name.toLowerCase() === "host";

/** A header of HTTP/2 that says what the call is; only its authority can be set. */
const isPseudo = (fields: OperationFields, field: "set" | "add", name: string): boolean => {
  if (!name.startsWith(":")) return false;
  fields.refuse(field, `"${name}" cannot be changed as a header`, name);
  return true;
};

const readValues = (fields: OperationFields, field: "set" | "add"): ReadonlyMap<string, string> => {
  const values = new Map<string, string>();
  for (const [name, value] of Object.entries(fields.textMap(field) ?? {})) {
    if (!isHeaderName(fields, field, name, name)) continue;
    const written = readValue(fields, field, name, value);
    if (written !== undefined) values.set(name, written);
  }
  return values;
};

const isHeaderName = (
  fields: OperationFields,
  field: "set" | "add" | "remove",
  name: string,
  at: string | number,
): boolean => {
  if (/^:?[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) return true;
  fields.refuse(field, `"${name}" is no name of a header`, at);
  return false;
};

/** `%%`, or a command of Envoy's: `%HOSTNAME%`, `%REQ(x)%`. */
const commands = /%(?:%|[A-Z_]+(?:\([^)]*\))?(?::\d+)?%)/g;

/** Envoy fills in `%COMMAND%`, and writes `%` for `%%`. Only an Envoy knows what its commands stand for. */
const readValue = (fields: OperationFields, field: "set" | "add", name: string, value: string): string | undefined => {
  if (value.replaceAll(commands, "").includes("%")) {
    fields.refuse(field, `"${value}" has a % that Envoy would not read: write %% for the sign`, name);
    return undefined;
  }
  if (value.replaceAll("%%", "").includes("%")) {
    fields.tellNoMeaning(field, `only an Envoy can fill in "${value}": the header is left as it is`, name);
    return undefined;
  }
  return value.replaceAll("%%", "%");
};
