// `npm run compare:balancers`: every balancer over real processes and mTLS, beside undici's and HAProxy's; writes docs/balancers-over-processes.md.

import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { type Comparison, type Effort, measure, type Scenario, scenarios } from "./compare.ts";
import { balancedPool, type Contender, haproxy, ours } from "./contenders.ts";
import { startFleet } from "./fleet.ts";
import { haproxyVersion } from "./haproxy.ts";

const ROUNDS = 3;

const CALL_LIMIT_MS = 5_000;

const effortOf = ({ name }: Scenario): Effort => ({
  rate: 100,
  warmUpSeconds: 1,
  // A stop must last longer than what everybody waits anyway.
  seconds: name === "paused" ? 10 : 5,
  limitMs: CALL_LIMIT_MS,
});

const version = haproxyVersion();
const contenders: readonly Contender[] = [
  ...ours,
  balancedPool,
  ...(version === undefined ? [] : [haproxy("random(2)"), haproxy("leastconn")]),
];
if (version === undefined) process.stderr.write("HAProxy is not installed: it is left out\n");

const sections: string[] = [];
const fleet = await startFleet();
try {
  for (const scenario of scenarios) {
    const results = new Map<string, Comparison[]>(contenders.map(({ name }) => [name, []]));
    // In turns, so that whatever disturbs the machine for a while disturbs all.
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const contender of contenders) {
        const result = await measure(fleet, contender, scenario, effortOf(scenario));
        results.get(contender.name)?.push(result);
        process.stdout.write(
          `${scenario.name} ${contender.name.padEnd(26)} p50 ${result.p50Ms.toFixed(1)}, p99 ${result.p99Ms.toFixed(1)} ms, ${result.errors} errors of ${result.calls}\n`,
        );
      }
    }
    sections.push(sectionOf(scenario, results));
  }
} finally {
  await fleet[Symbol.asyncDispose]();
}

writeFileSync(
  join(import.meta.dirname, "..", "..", "docs", "balancers-over-processes.md"),
  `# Balancers over real processes

What \`docs/simulation.md\` tells in virtual time, smaller and with all that a simulation leaves out: five servers, each a process
of its own, called over mTLS by one process, with something going wrong at one of them. Each server works on 4 requests at once,
10 ms each on the mean, exponentially distributed. 100 calls a second are due, at random times that wait for no answer, and a
latency counts from when its call was due. A call that takes longer than ${CALL_LIMIT_MS / 1_000} s has failed. Each run of a few seconds follows a second of
calls to healthy servers; the figures are the medians of ${ROUNDS} rounds in which all took turns, errors the sum of the rounds.
Written by \`npm run compare:balancers\`, which tells you what your machine makes of it.

**Look at the ratios, and do not make much of small ones.** This was measured by Node.js ${process.version}${version === undefined ? "" : ` and HAProxy ${version}`} on a machine of ${availableParallelism()} cores
that had other work to do; a median of three disagrees with the next one by a tenth easily, a p99 by more. Where nothing is slow, as
beside the server that fails, the p99 is mostly that other work.

The balancers of the mesh run with its defaults: retries, outlier detection, and the question to silent endpoints whether they
live are on. \`undici.BalancedPool\` runs as it comes, and has none of these. HAProxy sits between, checks its servers by a TLS handshake each second, gives up a server
that is silent for 2 s (\`timeout server 2s\`), and repeats elsewhere what failed (\`retry-on all-retryable-errors\`, \`option redispatch 1\`); the way to
HAProxy is a plaintext socket. \`ring-hash\` and \`maglev\` tell 1,000 users apart: a user of the slow server stays with it, as asked.
\`weighted-round-robin\` has a blackout of 1 s, since its default is longer than a run.

Share of the server in trouble: of all requests that reached servers, retries included. Its fair share is 20 %.

${sections.join("\n")}`,
);

function sectionOf({ title }: Scenario, results: ReadonlyMap<string, readonly Comparison[]>): string {
  const of = (name: string, figure: (result: Comparison) => number): number =>
    middle((results.get(name) ?? []).map(figure));
  const baseMs = of("round-robin", ({ p99Ms }) => p99Ms);
  const rows = [...results].map(([name, rounds]) => {
    const p99Ms = of(name, (result) => result.p99Ms);
    const errors = rounds.reduce((sum, each) => sum + each.errors, 0);
    const calls = rounds.reduce((sum, each) => sum + each.calls, 0);
    return [
      name,
      of(name, ({ p50Ms }) => p50Ms).toFixed(1),
      p99Ms.toFixed(0),
      (p99Ms / baseMs).toFixed(2),
      `${errors} of ${calls}`,
      `${(100 * of(name, ({ troubledShare }) => troubledShare)).toFixed(1)} %`,
    ].join(" | ");
  });
  return `## ${title}

| balancer | p50 ms | p99 ms | p99 / round-robin's | errors | share of the server in trouble |
|---|---|---|---|---|---|
${rows.map((row) => `| ${row} |`).join("\n")}
`;
}

function middle(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
