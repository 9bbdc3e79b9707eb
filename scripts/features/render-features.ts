import type { FeatureRow } from "./feature-row.ts";

/** Writes the page of all rows, by their numbers. Pure. */
export const renderFeatures = (rows: readonly FeatureRow[]): string => {
  const inOrder = rows.toSorted((one, other) => one.row - other.row);
  const examples = inOrder.flatMap(({ row, capability, example }) =>
    example === undefined ? [] : [`### ${row}. ${capability}\n\n\`\`\`yaml\n${example.trim()}\n\`\`\``],
  );
  return [
    "# Features",
    "",
    "What the meshes that people know can do, how it is written in Tulle, and the test that proves it. The numbers are those of",
    "the inventory that Tulle was designed from; rows that are not listed are not built yet. This page is generated from",
    "`scripts/features/` by `node scripts/generate-features.ts`; a test compares the two, looks for each of the tests, and",
    "checks the examples as `tulle apply` would.",
    "",
    "| # | capability | in Tulle | proven by | left out, and why |",
    "|---|---|---|---|---|",
    ...inOrder.map(tableRow),
    "",
    "## Examples",
    "",
    examples.join("\n\n"),
    "",
  ].join("\n");
};

const tableRow = ({ row, capability, written, tests, leftOut }: FeatureRow): string => {
  const proofs = tests.map(([file, title]) => `[${cell(title)}](../${file})`).join("; ");
  return `| ${row} | ${cell(capability)} | ${cell(written)} | ${proofs === "" ? "—" : proofs} | ${cell(leftOut ?? "—")} |`;
};

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ").trim();
