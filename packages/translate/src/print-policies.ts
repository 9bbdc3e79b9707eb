import type { Policy, PolicyOrigin } from "@tulle/policy";
import { stringify } from "yaml";
import { documentKey } from "./source-document.ts";
import type { TranslatedPolicy } from "./translator.ts";

/** Prints policies as YAML documents of Tulle, each under a comment that names the documents it was made of. */
export const printYaml = (translated: readonly TranslatedPolicy[]): string =>
  translated
    .map(
      (each) =>
        `${commentsOf(each, "#")}${stringify(withoutOrigins(each.policy), { lineWidth: 0, aliasDuplicateObjects: false })}`,
    )
    .join("---\n");

/** Prints policies as a TypeScript module that exports them, each under such a comment. */
export const printTypeScript = (translated: readonly TranslatedPolicy[]): string => {
  const policies = translated.map(
    (each) => `${indented(`${commentsOf(each, "//")}${literal(withoutOrigins(each.policy))}`)},\n`,
  );
  return `import { definePolicies } from "@tulle/policy";\n\nexport default definePolicies([\n${policies.join("")}]);\n`;
};

/** What was read somewhere else is read here from now on. */
const withoutOrigins = ({ origin: _, ...policy }: Policy): object =>
  policy.kind === "Route" ? { ...policy, rules: policy.rules.map(({ origin: __, ...rule }) => rule) } : policy;

const commentsOf = ({ from }: TranslatedPolicy, mark: string): string =>
  from.map((document) => `${mark} ${documentKey(document)}, ${placeOf(document.place.origin)}\n`).join("");

const placeOf = ({ file, line }: PolicyOrigin): string => `${file}:${line}`;

const plainKey = /^[A-Za-z_$][\w$]*$/;

/** As people write it: keys bare where they can be, short lists and objects on one line. */
const literal = (value: unknown): string => {
  const short = oneLine(value);
  if (short.length <= MOST_ON_A_LINE || typeof value !== "object" || value === null) return short;
  const lines = Array.isArray(value)
    ? value.map((item) => literal(item))
    : entriesOf(value).map(([key, field]) => `${keyOf(key)}: ${literal(field)}`);
  const [open, close] = Array.isArray(value) ? ["[", "]"] : ["{", "}"];
  return `${open}\n${lines.map((line) => `${indented(line)},\n`).join("")}${close}`;
};

const MOST_ON_A_LINE = 100;

const oneLine = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(oneLine).join(", ")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const fields = entriesOf(value).map(([key, field]) => `${keyOf(key)}: ${oneLine(field)}`);
  return fields.length === 0 ? "{}" : `{ ${fields.join(", ")} }`;
};

const entriesOf = (value: object): readonly (readonly [string, unknown])[] =>
  Object.entries(value).filter(([, field]) => field !== undefined);

const keyOf = (key: string): string => (plainKey.test(key) ? key : JSON.stringify(key));

const indented = (text: string): string => text.replaceAll(/^(?=.)/gm, "  ");
