// `npm run simulate`: what each balancer makes of each trouble, in virtual time; writes docs/simulation.md and its plots.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { balancers } from "./balancers.ts";
import { plotBars } from "./plot.ts";
import { scenarios } from "./scenarios.ts";
import { type Result, simulate } from "./simulate.ts";

const docs = join(import.meta.dirname, "..", "..", "docs");
mkdirSync(join(docs, "simulation"), { recursive: true });

const sections: string[] = [];
for (const scenario of scenarios) {
  const results = balancers.map(({ name, balancer }) => ({ name, result: simulate(scenario, balancer) }));
  const bars = results.map(({ name, result }) => ({ name, values: [result.p50Ms, result.p99Ms, result.p999Ms] }));
  const plot = plotBars(scenario.title, "ms", ["p50", "p99", "p99.9"], bars);
  writeFileSync(join(docs, "simulation", `${scenario.name}.svg`), plot);
  sections.push(sectionOf(scenario, results));
  process.stdout.write(`${scenario.title}\n${results.map(lineOf).join("\n")}\n\n`);
}

writeFileSync(
  join(docs, "simulation.md"),
  `# Balancers in simulation

What each balancer makes of a fleet in trouble, by the balancers' own code in virtual time: no sockets, no real clock, equal
seeds give equal results. Each server works on 4 requests at once, 20 ms each on the mean, exponentially distributed; the
clients together ask for 70 % of what all servers can do when they are well (half, where a zone is lost), for 20 s, of which
the first 4 do not count. Each
client sees its own calls alone, and leaves out endpoints that fail, as by default. Written by \`npm run simulate\`.

In flight: the most requests that any server had at a time, and the same of the server in the middle.

${sections.join("\n")}`,
);

function sectionOf(
  { name, title }: { readonly name: string; readonly title: string },
  results: readonly { readonly name: string; readonly result: Result }[],
): string {
  const rows = results.map(({ name: balancer, result }) =>
    [
      balancer,
      result.p50Ms.toFixed(1),
      result.p99Ms.toFixed(1),
      result.p999Ms.toFixed(1),
      result.errors,
      `${result.mostInFlight}, ${result.medianMostInFlight}`,
    ].join(" | "),
  );
  return `## ${title}

![${title}](simulation/${name}.svg)

| balancer | p50 ms | p99 ms | p99.9 ms | errors | in flight |
|---|---|---|---|---|---|
${rows.map((row) => `| ${row} |`).join("\n")}
`;
}

function lineOf({ name, result }: { readonly name: string; readonly result: Result }): string {
  const { p50Ms, p99Ms, p999Ms, errors, requests } = result;
  const figures = [p50Ms, p99Ms, p999Ms].map((ms) => ms.toFixed(1).padStart(9)).join("");
  return `  ${name.padEnd(24)}${figures} ms   ${errors} errors of ${requests}`;
}
