import { sourceKinds } from "@tulle/translate";

type Kind = (typeof sourceKinds)[number];
type Fate = Kind["messages"][number]["fields"][string];

/** What became of a field, in two cells. */
const cellsOf = (fate: Fate): string => {
  if ("to" in fate) return `translated | ${escaped(fate.to)}`;
  if ("refused" in fate) return `refused | ${escaped(fate.refused)}`;
  return "noMeaning" in fate ? `no meaning | ${escaped(fate.noMeaning)}` : `ignored | ${escaped(fate.ignored)}`;
};

const escaped = (text: string): string => text.replaceAll("|", "\\|");

const heading = ({ group, kind, versions }: Kind): string =>
  `## ${kind}\n\n\`${group === "" ? "" : `${group}/`}${versions.join("`, `")}\``;

const tableOf = ({ messages }: Kind): string =>
  messages
    .map(({ name, fields, others }) => {
      // Keys of a table whose type says no more than that they are texts.
      const rows = Object.entries<Fate>(fields).map(([field, fate]) => `| \`${field}\` | ${cellsOf(fate)} |`);
      const rest = others === "ignored" ? "\n| every other | ignored | it says nothing about policy |" : "";
      return `### ${name}\n\n| field | becomes | |\n|---|---|---|\n${rows.join("\n")}${rest}`;
    })
    .join("\n\n");

/** The page of every field of every kind of document, made of the translators' own tables. */
export const renderCoverage = (): string => {
  const fates = sourceKinds.flatMap(({ messages }) => messages.flatMap(({ fields }) => Object.values<Fate>(fields)));
  const translated = fates.filter((fate) => "to" in fate).length;
  const kinds = [...sourceKinds].sort((a, b) => (a.kind < b.kind ? -1 : 1));
  return `# Coverage of the translation

Every field of every kind of document that [is translated](translation.md), and what becomes of it. Made of the translators' own tables by
\`node scripts/generate-coverage.ts\`; a test compares the two. A field that is not here is unknown, and its document refused.

${kinds.length} kinds, ${fates.length} fields: ${translated} translated, ${fates.length - translated} refused, without meaning or ignored.

${kinds.map((kind) => `${heading(kind)}\n\n${tableOf(kind)}`).join("\n\n")}
`;
};
