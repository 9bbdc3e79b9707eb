import { styleText } from "node:util";
import type { RecentEdges } from "./call-ledger.ts";
import type { Edge } from "./edges.ts";
import { milliseconds } from "./run-report.ts";

/** Everything that the live table shows. */
export interface TableFigures {
  /** Since the start. */
  readonly total: readonly Edge[];
  /** In the last seconds. */
  readonly recent: RecentEdges;
  /** Lines below the table, such as the load's own counter. */
  readonly notes: readonly string[];
  readonly color: boolean;
}

const COLUMNS = ["edge", "requests", "failed", "req/s", "success", "p50", "p99", "mTLS", "versions"] as const;

/** The table as text. Requests and failures count from the start, all other columns are of the last seconds. */
export const renderTable = (figures: TableFigures): string => {
  const recent = new Map(figures.recent.edges.map((edge) => [nameOf(edge), edge]));
  const rows = figures.total.map((edge) => cellsOf(edge, recent.get(nameOf(edge)), figures.recent.windowMs));
  const widths = COLUMNS.map((column, index) => Math.max(column.length, ...rows.map((row) => row[index]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) => (isText(index) ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0)))
      .join("  ")
      .trimEnd();
  const paint = (format: Parameters<typeof styleText>[0], text: string): string =>
    figures.color ? styleText(format, text, { validateStream: false }) : text;
  const body = figures.total.map((edge, index) => {
    const text = line(rows[index] ?? []);
    return edge.failures > 0 ? paint("red", text) : text;
  });
  const empty = figures.total.length === 0 ? ["waiting for the members' telemetry"] : [];
  return [paint("bold", line(COLUMNS)), ...body, ...empty, ...figures.notes.map((note) => paint("dim", note))].join(
    "\n",
  );
};

const nameOf = ({ source, destination }: Edge): string => `${source} → ${destination}`;

const isText = (column: number): boolean => column === 0 || column === COLUMNS.length - 1;

const cellsOf = (total: Edge, recent: Edge | undefined, windowMs: number): readonly string[] => {
  const start = [nameOf(total), String(total.requests), String(total.failures)];
  if (recent === undefined || recent.requests === 0) return [...start, "0", "-", "-", "-", mutual(total), "-"];
  return [
    ...start,
    (recent.requests / (windowMs / 1_000)).toFixed(1),
    `${(100 * (1 - recent.failures / recent.requests)).toFixed(recent.failures === 0 ? 0 : 2)} %`,
    time(milliseconds(recent, 0.5)),
    time(milliseconds(recent, 0.99)),
    mutual(total),
    shares(recent.versions),
  ];
};

const mutual = (edge: Edge): string => (edge.unencrypted === 0 ? "yes" : "NO");

const time = (ms: number | null): string => (ms === null ? "-" : `${ms.toFixed(ms < 10 ? 2 : 1)} ms`);

const shares = (versions: Edge["versions"]): string => {
  const all = Object.values(versions).reduce((sum, calls) => sum + calls, 0);
  if (all === 0) return "-";
  return Object.entries(versions)
    .filter(([, calls]) => calls > 0)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([version, calls]) => `${version} ${((100 * calls) / all).toFixed(1)} %`)
    .join("  ");
};
