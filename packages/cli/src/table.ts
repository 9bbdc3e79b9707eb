import type { Terminal } from "./terminal.ts";

/** Rows of text under headings. */
export interface Table {
  readonly headings: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** What is said on a terminal when there are no rows. */
  readonly empty: string;
}

const GAP = "   ";

/** An aligned table with headings for a terminal; for scripts one line per row, tab-separated, without headings. */
export const printTable = (terminal: Terminal, { headings, rows, empty }: Table): void => {
  const cells = rows.map((row) => row.map(oneLine));
  if (!terminal.interactive) {
    for (const row of cells) terminal.write(`${row.join("\t")}\n`);
    return;
  }
  if (rows.length === 0) {
    terminal.write(`${empty}\n`);
    return;
  }
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...cells.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join(GAP)
      .trimEnd();
  terminal.write(`${bold(terminal, line(headings))}\n`);
  for (const row of cells) terminal.write(`${line(row)}\n`);
};

const bold = (terminal: Terminal, text: string): string => (terminal.color ? `\x1b[1m${text}\x1b[22m` : text);

// A cell never breaks a line, moves a column or steers the terminal, whoever wrote it.
const oneLine = (cell: string): string => cell.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ");
