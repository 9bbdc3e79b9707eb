/** One balancer's figures. */
export interface Bars {
  readonly name: string;
  /** In the order of the plot's series; not a number: no bar. */
  readonly values: readonly number[];
}

const WIDTH = 760;
const LEFT = 150;
const RIGHT = 70;
const BAR = 11;
const GAP = 10;
const TOP = 62;
const colours = ["#8fb8de", "#3c7ab5", "#123c69"];

/** Draws bars on a logarithmic scale as an SVG, for people: no script, readable on light and dark ground. Pure. */
export const plotBars = (title: string, unit: string, series: readonly string[], rows: readonly Bars[]): string => {
  const values = rows.flatMap((row) => row.values).filter((value) => value > 0);
  const low = 10 ** Math.floor(Math.log10(Math.min(...values)));
  const high = 10 ** Math.ceil(Math.log10(Math.max(...values)));
  const span = Math.max(1, Math.log10(high / low));
  const x = (value: number): number => LEFT + (Math.log10(Math.max(value, low) / low) / span) * (WIDTH - LEFT - RIGHT);
  const rowHeight = series.length * BAR + GAP;
  const height = TOP + rows.length * rowHeight + 24;
  const parts: string[] = [
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    text(12, 20, title, 14, "bold"),
    ...series.map((name, at) => {
      const left = 12 + at * 90;
      return `<rect x="${left}" y="32" width="10" height="10" fill="${colourOf(at)}"/>${text(left + 15, 41, name)}`;
    }),
  ];
  for (let tick = low; tick <= high * 1.001; tick *= 10) {
    const at = round(x(tick));
    parts.push(`<line x1="${at}" y1="${TOP - 6}" x2="${at}" y2="${height - 20}" stroke="#dddddd"/>`);
    parts.push(text(at, height - 6, `${Number(tick.toPrecision(1))} ${unit}`, 10, "normal", "middle"));
  }
  for (const [place, row] of rows.entries()) {
    const top = TOP + place * rowHeight;
    parts.push(text(LEFT - 8, top + rowHeight / 2, row.name, 12, "normal", "end"));
    for (const [at, value] of row.values.entries()) {
      if (!(value > 0)) continue;
      const y = top + at * BAR;
      parts.push(
        `<rect x="${LEFT}" y="${y}" width="${round(x(value) - LEFT)}" height="${BAR - 1}" fill="${colourOf(at)}"/>`,
      );
      parts.push(text(round(x(value)) + 4, y + BAR - 2, value.toPrecision(3), 9));
    }
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(title)}">`,
    ...parts,
    "</svg>",
    "",
  ].join("\n");
};

const text = (x: number, y: number, words: string, size = 11, weight = "normal", anchor = "start"): string =>
  `<text x="${x}" y="${y}" font-family="sans-serif" font-size="${size}" font-weight="${weight}" text-anchor="${anchor}" fill="#222222">${escaped(words)}</text>`;

const colourOf = (at: number): string => colours[at % colours.length] ?? "#000000";

const round = (value: number): number => Math.round(value * 10) / 10;

const escaped = (words: string): string =>
  words.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
