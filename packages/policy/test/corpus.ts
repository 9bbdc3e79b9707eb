import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const root = process.env.TULLE_CORPORA ?? resolve(import.meta.dirname, "../../../../shared/corpora");

/** A document of the published test data, which lies beside the repository, not in it. */
export interface Corpus<T> {
  readonly missing: boolean;
  /** Said in the test's name where the document is missing. */
  readonly note: string;
  read(): T | undefined;
  /** The way to a file that the document names. */
  beside(name: string): string;
}

/** Finds a document in the folder that `TULLE_CORPORA` names, else in `../shared/corpora` beside the repository. */
export const corpus = <T>(name: string): Corpus<T> => {
  const file = join(root, name);
  const missing = !existsSync(file);
  return {
    missing,
    note: missing ? ` (skipped: ${name} is not here; name its folder in TULLE_CORPORA)` : "",
    // The document is read as its folder's README describes it; a test that finds another shape fails.
    read: () => (missing ? undefined : (JSON.parse(readFileSync(file, "utf8")) as T)),
    beside: (name) => join(file, "..", name),
  };
};
