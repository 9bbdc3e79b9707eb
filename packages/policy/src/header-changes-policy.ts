import { wrongHeaderName, wrongHeaderValue } from "./field-limits.ts";
import type { Check } from "./policy-check.ts";
import type { PolicyPath } from "./policy-path.ts";

/**
 * Changes of headers, in this order: `remove`, `set`, `add` (Envoy). Names are compared without case and sent as they are
 * written. At most {@link MAX_HEADER_CHANGES} names in all. Headers that belong to a connection, to the framing of the body or to the
 * mesh cannot be changed.
 */
export interface HeaderChanges {
  /** Names of headers that are taken out, all their values. @default none */
  readonly remove?: readonly string[];
  /** Values by name, in the place of all that was there. @default none */
  readonly set?: Readonly<Record<string, string>>;
  /** Values by name, beside what was there. @default none */
  readonly add?: Readonly<Record<string, string>>;
}

/** Names that one {@link HeaderChanges} may hold: 64. */
export const MAX_HEADER_CHANGES = 64;

/** Makes a new flat list of headers. Order, casing and duplicates of what it leaves alone stay as they are. */
export type HeaderListChange = (headers: readonly string[]) => readonly string[];

/**
 * Compiles changes that are made one after the other, such as those of a destination and then those of its rule. Pure.
 * `undefined` when they change nothing.
 */
export const compileHeaderChanges = (steps: readonly (HeaderChanges | undefined)[]): HeaderListChange | undefined => {
  const changes = steps.flatMap((step) => (step === undefined || isEmpty(step) ? [] : [compileStep(step)]));
  const [first, ...others] = changes;
  if (first === undefined || others.length === 0) return first;
  return (headers) => changes.reduce((list, change) => change(list), headers);
};

const isEmpty = ({ remove = [], set = {}, add = {} }: HeaderChanges): boolean =>
  remove.length + Object.keys(set).length + Object.keys(add).length === 0;

const compileStep = ({ remove = [], set = {}, add = {} }: HeaderChanges): HeaderListChange => {
  const removed = new Set(remove.map((name) => name.toLowerCase()));
  const wanted = new Map(Object.entries(set).map(([name, value]) => [name.toLowerCase(), { name, value }]));
  const added = Object.entries(add).flat();
  return (headers) => {
    const list: string[] = [];
    let placed: Set<string> | undefined;
    for (let at = 0; at + 1 < headers.length; at += 2) {
      const name = headers[at] ?? "";
      const lowerCase = name.toLowerCase();
      if (removed.has(lowerCase)) continue;
      const instead = wanted.get(lowerCase);
      if (instead === undefined) {
        list.push(name, headers[at + 1] ?? "");
      } else if (placed?.has(lowerCase) !== true) {
        placed ??= new Set();
        placed.add(lowerCase);
        list.push(instead.name, instead.value);
      }
    }
    for (const [lowerCase, { name, value }] of wanted) if (placed?.has(lowerCase) !== true) list.push(name, value);
    list.push(...added);
    return list;
  };
};

/** Tells changes in one line: `removes a; sets b; adds c`. */
export const describeHeaderChanges = ({ remove = [], set = {}, add = {} }: HeaderChanges): string =>
  [
    ["removes", remove],
    ["sets", Object.keys(set)],
    ["adds", Object.keys(add)],
  ]
    .flatMap(([verb, names]) =>
      names === undefined || names.length === 0 ? [] : [`${verb} ${[names].flat().join(", ")}`],
    )
    .join("; ");

/** Whether changes make sense. */
export const checkHeaderChanges = (path: PolicyPath, changes: HeaderChanges | undefined, check: Check): void => {
  if (changes === undefined) return;
  const { remove, set = {}, add = {} } = changes;
  check.texts([...path, "remove"], remove, wrongChangedHeader);
  for (const [field, values] of [["set", set] as const, ["add", add] as const]) {
    for (const [name, value] of Object.entries(values)) {
      check.text([...path, field, name], name, wrongChangedHeader);
      check.text([...path, field, name], value, wrongHeaderValue);
    }
  }
  const count = (remove ?? []).length + Object.keys(set).length + Object.keys(add).length;
  if (count === 0)
    check.report(path, "nothing is changed: name a header in remove, set or add, or leave the field out");
  if (count > MAX_HEADER_CHANGES) {
    check.report(path, `${count} headers are changed, more than ${MAX_HEADER_CHANGES}: split the rule or change fewer`);
  }
  const twice = twiceWithoutCase(Object.keys(set));
  if (twice !== undefined) check.report([...path, "set"], `"${twice}" is set twice: names are compared without case`);
};

const twiceWithoutCase = (names: readonly string[]): string | undefined =>
  names.find((name, at) => names.findIndex((each) => each.toLowerCase() === name.toLowerCase()) < at);

/** What is wrong with the name of a header that a policy changes or answers with, if anything. */
export const wrongChangedHeader = (text: string): string | undefined => {
  const name = text.toLowerCase();
  if (name === "host" || name === ":authority") return `"${text}" cannot be changed as a header: use rewrite.host`;
  if (name === ":path")
    return `"${text}" cannot be changed as a header: use rewrite.path, rewrite.prefix or rewrite.regex`;
  if (name.startsWith(":")) return `"${text}" belongs to the protocol and cannot be changed: leave it out`;
  if (ofConnection.has(name)) return `"${text}" belongs to one connection and is set by its ends: leave it out`;
  if (ofFraming.has(name)) return `"${text}" says where the body ends and is set by who sends it: leave it out`;
  if (isOfMesh(name)) return `"${text}" is said by the mesh itself and cannot be changed by a policy: leave it out`;
  return wrongHeaderName(text);
};

/** Hop-by-hop (RFC 9110, 7.6.1). */
const ofConnection: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "upgrade",
  "expect",
]);

const ofFraming: ReadonlySet<string> = new Set(["content-length", "transfer-encoding"]);

const ofMesh: ReadonlySet<string> = new Set([
  "x-forwarded-client-cert",
  "grpc-timeout",
  "endpoint-load-metrics",
  "endpoint-load-metrics-format",
]);

const isOfMesh = (name: string): boolean =>
  name.startsWith("x-envoy-") || name.startsWith("tulle-") || ofMesh.has(name);
