import type { Candidates } from "./path-index.ts";
import type { RouteMatch } from "./route-match.ts";

/** Headers by which entries are told apart; what compares others stands where its path puts it. */
export const MAX_INDEXED_HEADERS = 4;

/** Entries by the exact value of a header, for tables that tell tenants or testers apart and look at no path. */
export class HeaderIndex<Entry extends { readonly order: number }> {
  readonly #names: string[] = [];
  readonly #values: Map<string, Entry[]>[] = [];

  /** Entries are added in the order of their numbers. @returns whether it found a place here */
  add(match: RouteMatch | undefined, entry: Entry): boolean {
    for (const [written, how] of Object.entries(match?.headers ?? {})) {
      if (!("exact" in how) || how.invert === true) continue;
      const values = this.#valuesOf(written.toLowerCase());
      if (values === undefined) continue;
      const known = values.get(how.exact);
      if (known === undefined) values.set(how.exact, [entry]);
      else known.push(entry);
      return true;
    }
    return false;
  }

  /** Gathers the entries whose header has the value that the call has. */
  gather(call: { header(name: string): string | undefined }, into: Candidates<Entry>): void {
    for (let at = 0; at < this.#names.length; at++) {
      const value = call.header(this.#names[at] ?? "");
      const found = value === undefined ? undefined : this.#values[at]?.get(value);
      if (found !== undefined) into.add(found);
    }
  }

  #valuesOf(name: string): Map<string, Entry[]> | undefined {
    const at = this.#names.indexOf(name);
    if (at >= 0) return this.#values[at];
    if (this.#names.length === MAX_INDEXED_HEADERS) return undefined;
    const made = new Map<string, Entry[]>();
    this.#names.push(name);
    this.#values.push(made);
    return made;
  }
}
