import type { PolicyPath, PolicyProblem } from "@tulle/policy";
import { type Place, readYamlValues, type YamlValue } from "@tulle/policy/yaml-values";
import { isMap } from "./raw-value.ts";
import type { SourceDocument } from "./source-document.ts";

/** What a file holds. */
export interface ReadDocuments {
  readonly documents: readonly SourceDocument[];
  /** What is not YAML, or no document of Kubernetes' form, with its place. */
  readonly problems: readonly PolicyProblem[];
}

/** Whether a value claims to be a document of Kubernetes' form. A policy of Tulle has no API version. */
export const isSourceDocument = (value: unknown): boolean =>
  typeof value === "object" && value !== null && "apiVersion" in value;

/**
 * Reads documents of Kubernetes' form out of YAML or JSON. Lists (`kind: List`, `kind: VirtualServiceList`) are taken apart.
 *
 * @param fileName stands in places as it is given.
 * @param defaultNamespace for documents that name none.
 */
export const readDocuments = (text: string, fileName: string, defaultNamespace: string): ReadDocuments => {
  const { values, problems } = readYamlValues(text, fileName);
  const found = values.map((value) => documentsIn(value, defaultNamespace));
  return {
    documents: found.flatMap(({ documents }) => documents),
    problems: [...problems, ...found.flatMap((each) => each.problems)],
  };
};

/** The documents that one value of a file holds: itself, or the items of the list that it is. */
export const documentsIn = (yaml: YamlValue, defaultNamespace: string): ReadDocuments =>
  unpack({ value: yaml.value, place: yaml.place, placeOf: yaml.placeOf }, defaultNamespace);

interface Located {
  readonly value: unknown;
  readonly place: Place;
  placeOf(path: PolicyPath): Place;
}

const unpack = (located: Located, defaultNamespace: string): ReadDocuments => {
  const { value, place } = located;
  const wrong = (message: string): ReadDocuments => ({ documents: [], problems: [{ path: "", message, ...place }] });
  if (!isMap(value)) return wrong("this is no document: it has no fields");
  const { apiVersion, kind, items } = value;
  if (typeof apiVersion !== "string" || typeof kind !== "string") {
    return wrong("this is no document of Kubernetes' form: it has no apiVersion or no kind");
  }
  if (Array.isArray(items) && kind.endsWith("List")) {
    const read = items.map((item, at) =>
      unpack(
        {
          value: item,
          place: located.placeOf(["items", at]),
          placeOf: (path) => located.placeOf(["items", at, ...path]),
        },
        defaultNamespace,
      ),
    );
    return {
      documents: read.flatMap(({ documents }) => documents),
      problems: read.flatMap(({ problems }) => problems),
    };
  }
  const metadata = isMap(value.metadata) ? value.metadata : {};
  const { name, namespace, labels, annotations, creationTimestamp } = metadata;
  if (typeof name !== "string" || name === "") return wrong(`this ${kind} has no metadata.name`);
  const createdAtMs = typeof creationTimestamp === "string" ? Date.parse(creationTimestamp) : Number.NaN;
  const document: SourceDocument = {
    apiVersion,
    kind,
    name,
    namespace: typeof namespace === "string" && namespace !== "" ? namespace : defaultNamespace,
    labels: textsOf(labels),
    annotations: textsOf(annotations),
    createdAtMs: Number.isNaN(createdAtMs) ? undefined : createdAtMs,
    value,
    place,
    placeOf: (path) => located.placeOf(path),
  };
  return { documents: [document], problems: [] };
};

const textsOf = (value: unknown): Readonly<Record<string, string>> =>
  isMap(value)
    ? Object.fromEntries(
        Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
      )
    : {};
