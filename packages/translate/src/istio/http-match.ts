import type { PathMatch, RouteMatch, StringMatch } from "@tulle/policy";
import type { FieldsOf } from "../fields.ts";
import { ignored, type Message, message, noMeaning, to } from "../message.ts";
import { type Comparison, readComparison, readStringMatch, stringMatchMessage, stringMatchOf } from "./string-match.ts";

/** Istio's HTTPMatchRequest. */
export const httpMatchMessage: Message<
  | "name"
  | "uri"
  | "scheme"
  | "method"
  | "authority"
  | "headers"
  | "port"
  | "sourceLabels"
  | "gateways"
  | "queryParams"
  | "ignoreUriCase"
  | "withoutHeaders"
  | "sourceNamespace"
  | "statPrefix"
> = message("HTTPMatchRequest", {
  name: ignored("a name for logs"),
  uri: to("match[].path"),
  scheme: to("match[].scheme"),
  method: to("match[].method"),
  authority: to("match[].authority"),
  headers: to("match[].headers; :method, :path, :scheme and :authority as the field that is meant"),
  port: to("match[].port"),
  sourceLabels: to("match[].source.labels"),
  gateways: to("left out where only gateways are named"),
  queryParams: to("match[].query"),
  ignoreUriCase: to("match[].ignoreCase"),
  withoutHeaders: to("match[].headers, inverted"),
  sourceNamespace: to("match[].source.namespace"),
  statPrefix: noMeaning("metrics are named by OpenTelemetry's conventions"),
});

type HttpMatchFields = FieldsOf<typeof httpMatchMessage>;

/** The word for traffic inside the mesh where gateways are listed. */
export const MESH_GATEWAY = "mesh";

/** Whether a match is for calls inside the mesh. */
export const isForMesh = (gateways: readonly string[] | undefined): boolean =>
  gateways === undefined || gateways.length === 0 || gateways.includes(MESH_GATEWAY);

/** Reads one match. `undefined`: it can fit no call inside the mesh. */
export const readHttpMatch = (fields: HttpMatchFields): RouteMatch | undefined => {
  const path = readPath(fields);
  const method = readStringMatch(fields.message("method", stringMatchMessage));
  const scheme = readStringMatch(fields.message("scheme", stringMatchMessage));
  const authority = readStringMatch(fields.message("authority", stringMatchMessage));
  const headers = readHeaders(fields);
  const query = readNamed(fields, "queryParams");
  const port = fields.integer("port");
  const sourceLabels = fields.textMap("sourceLabels");
  const sourceNamespace = fields.text("sourceNamespace");
  const ignoreCase = fields.flag("ignoreUriCase");
  const source = {
    ...(sourceNamespace ? { namespace: sourceNamespace } : {}),
    ...(sourceLabels === undefined || Object.keys(sourceLabels).length === 0 ? {} : { labels: sourceLabels }),
  };
  if (!isForMesh(fields.texts("gateways"))) return undefined;
  const text =
    path === undefined ? undefined : "exact" in path ? path.exact : "startsWith" in path ? path.startsWith : undefined;
  if (text !== undefined && !text.startsWith("/")) {
    fields.warn("uri", `no path is "${text}", for each begins with a slash: nothing fits`);
    return undefined;
  }
  return {
    ...(path === undefined ? {} : { path }),
    // A regex says by itself whether case counts; Envoy ignores the field there too.
    ...(ignoreCase === true && path !== undefined && !("regex" in path) ? { ignoreCase } : {}),
    ...asGiven({ method, scheme, authority, port }),
    ...(Object.keys(query).length === 0 ? {} : { query }),
    ...headers,
    ...(Object.keys(source).length === 0 ? {} : { source }),
  };
};

/** Leaves out what is undefined, for a policy has no such fields. */
const asGiven = <T extends Readonly<Record<string, unknown>>>(
  values: T,
): { readonly [Key in keyof T]?: Exclude<T[Key], undefined> } =>
  // What is left of the entries has the types that they had.
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    readonly [Key in keyof T]?: Exclude<T[Key], undefined>;
  };

const readPath = (fields: HttpMatchFields): PathMatch | undefined => {
  const uri = fields.message("uri", stringMatchMessage);
  const comparison = uri === undefined ? undefined : readComparison(uri, true);
  return comparison === undefined ? undefined : pathMatchOf(comparison);
};

/** Istio's prefix of a path is plain text; a path is always there. */
const pathMatchOf = (comparison: Comparison): PathMatch | undefined => {
  if (comparison.way === "present") return undefined;
  const { way, text } = comparison;
  if (way === "exact") return { exact: text };
  if (way === "regex") return text === "*" ? undefined : { regex: text };
  return text === "" || text === "/" ? undefined : { startsWith: text };
};

/** The headers of HTTP/2 that stand for other fields of a match. */
const fieldOfPseudo = {
  ":method": "method",
  ":scheme": "scheme",
  ":authority": "authority",
  host: "authority",
} as const;

const isFieldOfPseudo = (name: string): name is keyof typeof fieldOfPseudo => Object.hasOwn(fieldOfPseudo, name);

/** Headers that must fit and headers that must not, with those that stand for other fields in their places. */
const readHeaders = (fields: HttpMatchFields): RouteMatch => {
  const match: { -readonly [Field in keyof RouteMatch]: RouteMatch[Field] } = {};
  const headers: Record<string, StringMatch> = {};
  const all = [
    ...Object.entries(readNamed(fields, "headers")),
    ...Object.entries(readNamed(fields, "withoutHeaders")).map(
      ([name, comparison]) => [name, { ...comparison, invert: true }] as const,
    ),
  ];
  const seen = new Set<string>();
  for (const [name, comparison] of all) {
    const lower = name.toLowerCase();
    if (seen.has(lower))
      fields.refuse("withoutHeaders", `"${name}" is compared twice: a policy compares a header once`, name);
    seen.add(lower);
    if (lower === ":path") match.path = comparedPath(comparison);
    else if (isFieldOfPseudo(lower)) match[fieldOfPseudo[lower]] = comparison;
    else headers[name] = comparison;
  }
  return { ...match, ...(Object.keys(headers).length === 0 ? {} : { headers }) };
};

const comparedPath = (comparison: StringMatch): PathMatch => {
  const invert = comparison.invert === true ? { invert: true } : {};
  if ("exact" in comparison) return { exact: comparison.exact, ...invert };
  if ("prefix" in comparison) return { startsWith: comparison.prefix, ...invert };
  if ("regex" in comparison) return { regex: comparison.regex, ...invert };
  return { startsWith: "/", ...invert };
};

/** A map of comparisons by name. A `null` in it is no comparison; the empty one means "is there". */
const readNamed = (
  fields: HttpMatchFields,
  field: "headers" | "withoutHeaders" | "queryParams",
): Readonly<Record<string, StringMatch>> => {
  for (const [name, value] of Object.entries(fields.map(field) ?? {})) {
    if (value === null) fields.refuse(field, "a comparison is missing", name);
    if (name === "") fields.refuse(field, "a name is empty", name);
  }
  const comparisons: Record<string, StringMatch> = {};
  for (const [name, each] of fields.messageMap(field, stringMatchMessage) ?? []) {
    const comparison = readComparison(each);
    if (comparison !== undefined) comparisons[name] = stringMatchOf(comparison);
  }
  return comparisons;
};
