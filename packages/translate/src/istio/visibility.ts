import type { Fields } from "../fields.ts";

/** The namespaces that may see a document's rules; `undefined` for all. Empty: nobody. */
export type Visibility = readonly string[] | undefined;

/** Reads Istio's `exportTo`: `.` for its own namespace, `*` for all, `~` for nobody, else namespaces. */
export const readExportTo = (fields: Fields<"exportTo">, namespace: string): Visibility => {
  const written = fields.texts("exportTo");
  if (written === undefined || written.length === 0) return undefined;
  for (const [at, each] of written.entries()) {
    if (!/^(?:\.|\*|~|[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)$/.test(each)) {
      fields.refuse("exportTo", `"${each}" is no namespace, nor ".", "*" or "~"`, at);
    }
  }
  const meant = written.map((each) => (each === "." ? namespace : each));
  const repeated = meant.find((each, at) => meant.indexOf(each) !== at);
  if (repeated !== undefined) fields.refuse("exportTo", `"${repeated}" is there twice`);
  if (written.length > 1 && written.some((each) => each === "*" || each === "~")) {
    fields.refuse("exportTo", '"*" and "~" stand alone');
  }
  if (written.includes("*")) return undefined;
  if (written.includes("~")) return [];
  return meant;
};
