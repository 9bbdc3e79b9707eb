import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseAllDocuments } from "yaml";
import type { PolicyPath } from "./policy-path.ts";
import type { PolicyProblem } from "./policy-problem.ts";

/** A place in a file. */
export type Place = Required<Pick<PolicyProblem, "origin" | "column">>;

/** One value of a YAML or JSON file, with the way back to its places. */
export interface YamlValue {
  readonly value: unknown;
  /** Where it begins. */
  readonly place: Place;
  /** Where a field begins: its key, or the item of a list; of what is missing, the place that lacks it. */
  placeOf(path: PolicyPath): Place;
}

/**
 * Reads YAML 1.2 with one or several documents, or JSON. A document is one value or a list of them; empty documents are
 * skipped. Anchors and aliases work, merge keys (`<<`) too.
 *
 * @param fileName stands in places as it is given.
 * @returns the values in their order, and what is not YAML, each with its place.
 */
export const readYamlValues = (
  text: string,
  fileName: string,
): { readonly values: readonly YamlValue[]; readonly problems: readonly PolicyProblem[] } => {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, {
    lineCounter: lines,
    prettyErrors: false,
    merge: true,
    version: "1.2",
    // What it would print as a warning of the process is found by the schema, with its place.
    logLevel: "error",
  });
  const problems: PolicyProblem[] = [];
  const values: YamlValue[] = [];
  const placeAt = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { origin: { file: fileName, line }, column: col };
  };
  const yamlValue = (document: Document.Parsed, value: unknown, node: Node, start: number): YamlValue => {
    const offset = node.range?.[0] ?? start;
    return {
      value,
      place: placeAt(offset),
      placeOf: (path) => placeAt(offsetOf(document, node, offset, path)),
    };
  };
  // Nothing at all is typed as a list with a mark on it, and read as an empty list.
  for (const document of documents as readonly Document.Parsed[]) {
    const faults = [...document.errors, ...document.warnings];
    for (const fault of faults) {
      problems.push({ path: "", message: `not YAML: ${fault.message}`, ...placeAt(fault.pos[0]) });
    }
    const { contents } = document;
    if (faults.length > 0 || contents === null || (isScalar(contents) && contents.value === null)) continue;
    const start = contents.range[0];
    try {
      const value: unknown = document.toJS();
      if (!isSeq(contents)) values.push(yamlValue(document, value, contents, start));
      else {
        values.push(
          // Items of a parsed list are nodes, and its value is a list as long.
          ...contents.items.map((item, at) =>
            yamlValue(document, Array.isArray(value) ? value[at] : undefined, item as Node, start),
          ),
        );
      }
    } catch (error) {
      // Aliases are counted when they are followed, not when they are read.
      const reason = error instanceof Error ? error.message : error;
      problems.push({ path: "", message: `not YAML: ${reason}`, ...placeAt(start) });
    }
  }
  return { values, problems };
};

const offsetOf = (document: Document.Parsed, node: Node, offset: number, path: PolicyPath): number => {
  let found = offset;
  let inside: unknown = node;
  for (const step of path) {
    const here = isAlias(inside) ? inside.resolve(document) : inside;
    if (isMap(here)) {
      const pair = here.items.find(({ key }) => isScalar(key) && String(key.value) === `${step}`);
      if (pair === undefined || !isScalar(pair.key)) return found;
      found = pair.key.range?.[0] ?? found;
      inside = pair.value;
    } else if (isSeq(here) && typeof step === "number") {
      const item = here.items[step];
      if (item === undefined) return found;
      inside = item;
      // Items of a parsed list are nodes.
      found = (item as Node).range?.[0] ?? found;
    } else return found;
  }
  return found;
};
