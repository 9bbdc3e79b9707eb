import type { Duration, PolicyPath } from "@tulle/policy";
import type { Findings } from "./finding.ts";
import { readGoDuration } from "./go-duration.ts";
import type { Message } from "./message.ts";
import type { SourceDocument } from "./source-document.ts";

type Values = Readonly<Record<string, unknown>>;

/**
 * Reads the fields of one message by its table, so that none is forgotten: making it tells of every field that is unknown,
 * refused or without meaning, and each reading method tells of a value of the wrong type, with its place. What cannot be
 * read reads as not set; its document is refused as a whole by then.
 */
export class Fields<F extends string> {
  readonly path: PolicyPath;
  readonly document: SourceDocument;
  readonly #values: Values;
  readonly #findings: Findings;

  /** @param value anything; what is no map is told, and reads as an empty one. */
  constructor(value: unknown, message: Message<F>, document: SourceDocument, path: PolicyPath, findings: Findings) {
    this.document = document;
    this.path = path;
    this.#findings = findings;
    this.#values = this.#mapOf(value, path) ?? {};
    for (const [name, given] of Object.entries(this.#values)) {
      // Kubernetes drops a null before anybody sees it.
      if (given === null || given === undefined) continue;
      const fate = Object.hasOwn(message.fields, name) ? message.fields[name as F] : undefined;
      if (fate === undefined) {
        if (message.others === "refused") this.#add("refused", name, `${message.name} has no field "${name}"`);
      } else if ("refused" in fate) this.#add("refused", name, `${message.name}.${name}: ${fate.refused}`);
      else if ("noMeaning" in fate) this.#add("no-meaning", name, `${message.name}.${name}: ${fate.noMeaning}`);
    }
  }

  /** Whether the field is set at all. */
  has(name: F): boolean {
    return this.raw(name) !== undefined;
  }

  /** The value as it stands, for fields whose form the reader knows better. */
  raw(name: F): unknown {
    return this.#values[name] ?? undefined;
  }

  /** The way to a field. */
  at(name: F, ...below: PolicyPath): PolicyPath {
    return [...this.path, name, ...below];
  }

  /** Refuses the document for a field. */
  refuse(name: F, reason: string, ...below: PolicyPath): void {
    this.#findings.add("refused", this.document, this.at(name, ...below), reason);
  }

  /** Tells that a value of a field has no meaning without a proxy. */
  tellNoMeaning(name: F, reason: string, ...below: PolicyPath): void {
    this.#findings.add("no-meaning", this.document, this.at(name, ...below), reason);
  }

  /** Tells that a field may not mean what its author thinks. */
  warn(name: F, reason: string, ...below: PolicyPath): void {
    this.#findings.add("warning", this.document, this.at(name, ...below), reason);
  }

  text(name: F): string | undefined {
    return this.#read(name, "a text", textOf);
  }

  flag(name: F): boolean | undefined {
    return this.#read(name, "true or false", (value) => (typeof value === "boolean" ? value : undefined));
  }

  /** A whole number, also where it is written as a text, as protobuf's JSON does. */
  integer(name: F): number | undefined {
    return this.#read(name, "a whole number", (value) => {
      const number = numberOf(value);
      return Number.isSafeInteger(number) ? number : undefined;
    });
  }

  number(name: F): number | undefined {
    return this.#read(name, "a number", numberOf);
  }

  /** A duration as Go writes it: `1h`, `1.5s`, `100ms`. */
  duration(name: F): Duration | undefined {
    return this.#read(name, 'a duration such as "1.5s"', (value) =>
      typeof value === "string" ? readGoDuration(value) : undefined,
    );
  }

  /** One of several words. */
  oneOf<const W extends string>(name: F, words: readonly W[]): W | undefined {
    return this.#read(name, `one of ${words.join(", ")}`, (value) => words.find((word) => word === value));
  }

  texts(name: F): readonly string[] | undefined {
    return this.#items(name)?.flatMap((item, at) => this.#itemText(name, item, at));
  }

  integers(name: F): readonly number[] | undefined {
    return this.#items(name)?.flatMap((item, at) => {
      const number = numberOf(item);
      if (Number.isSafeInteger(number) && number !== undefined) return [number];
      this.refuse(name, `${shown(item)} is no whole number`, at);
      return [];
    });
  }

  /** A map of texts, such as labels. */
  textMap(name: F): Readonly<Record<string, string>> | undefined {
    const map = this.map(name);
    if (map === undefined) return undefined;
    return Object.fromEntries(
      Object.entries(map).flatMap(([key, value]) => {
        const text = textOf(value);
        if (text !== undefined) return [[key, text] as const];
        this.refuse(name, `${shown(value)} is no text`, key);
        return [];
      }),
    );
  }

  /** A map whose values the reader reads itself. */
  map(name: F): Values | undefined {
    const value = this.raw(name);
    const map = value === undefined ? undefined : this.#mapOf(value, this.at(name));
    // Whoever copies the map by its names would lose this one without a word.
    if (map !== undefined && Object.hasOwn(map, PROTOTYPE)) {
      this.refuse(name, `"${PROTOTYPE}" is a name that nothing can have here`, PROTOTYPE);
    }
    return map;
  }

  /** A message inside this one. */
  message<G extends string>(name: F, table: Message<G>): Fields<G> | undefined {
    return this.has(name) ? this.#below(this.raw(name), table, this.at(name)) : undefined;
  }

  /** A list of messages. */
  messages<G extends string>(name: F, table: Message<G>): readonly Fields<G>[] | undefined {
    return this.#items(name)?.map((item, at) => this.#below(item, table, this.at(name, at)));
  }

  /** A map of messages. */
  messageMap<G extends string>(name: F, table: Message<G>): ReadonlyMap<string, Fields<G>> | undefined {
    const map = this.map(name);
    if (map === undefined) return undefined;
    return new Map(Object.entries(map).map(([key, value]) => [key, this.#below(value, table, this.at(name, key))]));
  }

  #below<G extends string>(value: unknown, table: Message<G>, path: PolicyPath): Fields<G> {
    return new Fields(value, table, this.document, path, this.#findings);
  }

  #read<T>(name: F, wanted: string, read: (value: unknown) => T | undefined): T | undefined {
    const value = this.raw(name);
    if (value === undefined) return undefined;
    const found = read(value);
    if (found === undefined) this.refuse(name, `${shown(value)} is not ${wanted}`);
    return found;
  }

  #items(name: F): readonly unknown[] | undefined {
    return this.#read(name, "a list", (value) => (Array.isArray(value) ? (value as readonly unknown[]) : undefined));
  }

  #itemText(name: F, item: unknown, at: number): readonly string[] {
    const text = textOf(item);
    if (text !== undefined) return [text];
    this.refuse(name, `${shown(item)} is no text`, at);
    return [];
  }

  #mapOf(value: unknown, path: PolicyPath): Values | undefined {
    if (value === undefined || value === null) return undefined;
    // A map of unknown shape is read by name; what is not there is undefined.
    if (typeof value === "object" && !Array.isArray(value)) return value as Values;
    this.#findings.add("refused", this.document, path, `${shown(value)} is no map`);
    return undefined;
  }

  #add(level: "refused" | "no-meaning", name: string, reason: string): void {
    this.#findings.add(level, this.document, [...this.path, name], reason);
  }
}

const PROTOTYPE = "__proto__";

const textOf = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);

const numberOf = (value: unknown): number | undefined => {
  if (typeof value === "number") return Number.isFinite(value) ? value : undefined;
  return typeof value === "string" && /^-?\d+(?:\.\d+)?$/.test(value) ? Number(value) : undefined;
};

const LONGEST_SHOWN = 60;

const shown = (value: unknown): string => {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > LONGEST_SHOWN ? `${text.slice(0, LONGEST_SHOWN)}…` : text;
};

/** The reader of a message's fields. */
export type FieldsOf<M> = M extends Message<infer F> ? Fields<F> : never;
