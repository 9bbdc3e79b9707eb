// What it costs to find the rule of a call, by the number of rules and by what they compare.
import { compileRoutes, type RegexEngine, type RouteMatch, type RouteQuestion } from "@tulle/policy";
import { takeTurns, type Work, type WorkCost, type WorkEffort } from "./take-turns.ts";

/** Rules of the tables. */
export const tableSizes = [1, 10, 100, 1_000] as const;

/** What one run found out. */
export interface MatchCosts {
  readonly effort: WorkEffort;
  /** A hash map from the path, and a scan over prefixes: what the index lies between. */
  readonly calibration: readonly WorkCost[];
  readonly rows: readonly MatchRow[];
}

/** One kind of rule over all sizes of tables. */
export interface MatchRow {
  readonly name: string;
  /** In the order of {@link tableSizes}. */
  readonly costs: readonly WorkCost[];
}

/** Nanoseconds that a match in a table of 1,000 rules may take at most. */
export const MATCH_TARGET_NANOS = 1_000;

const engine: RegexEngine = (pattern) => {
  const compiled = new RegExp(`^(?:${pattern})$`, "u");
  return (text) => compiled.test(text);
};

const kinds: Readonly<Record<string, (at: number) => RouteMatch>> = {
  exact: (at) => ({ path: { exact: `/service-${at}/items` } }),
  prefix: (at) => ({ path: { prefix: `/service-${at}` } }),
  "prefix, without case": (at) => ({ path: { prefix: `/Service-${at}` }, ignoreCase: true }),
  template: (at) => ({ path: { template: `/service-${at}/{kind}` } }),
  "template that begins with a variable": (at) => ({ path: { template: `/{service}/item${at === 0 ? "s" : at}` } }),
  regex: (at) => ({ path: { regex: `/service-${at}/[a-z]+` } }),
  "prefix, method and header": (at) => ({
    path: { prefix: `/service-${at}` },
    methods: ["GET"],
    headers: { "end-user": { exact: "jason" } },
  }),
  "header alone": (at) => ({ headers: { tenant: { exact: `t${at}` } } }),
};

const questionsFor = (rules: number): readonly RouteQuestion[] =>
  Array.from({ length: 256 }, (_, at) => {
    const place = Math.floor((at * rules) / 256);
    const headers: Readonly<Record<string, string>> = { "end-user": "jason", tenant: `t${place}` };
    return {
      method: "GET",
      scheme: "http",
      authority: "shop",
      port: 80,
      path: `/service-${place}/items?page=1`,
      header: (name: string) => headers[name],
    };
  });

const matcherWork = (name: string, kind: (at: number) => RouteMatch, rules: number): Work => {
  const find = compileRoutes(
    [
      {
        kind: "Route",
        name: "shop",
        services: ["shop"],
        rules: Array.from({ length: rules }, (_, at) => ({ match: [kind(at)] })),
      },
    ],
    engine,
  );
  const questions = questionsFor(rules);
  return {
    name,
    run: (turn) => {
      const question = questions[turn & 255];
      return question === undefined ? 0 : (find(question)?.ruleIndex ?? -1);
    },
  };
};

const calibrationWorks = (rules: number): readonly Work[] => {
  const paths = questionsFor(rules).map(({ path }) => path);
  const known = new Map(Array.from({ length: rules }, (_, at) => [`/service-${at}/items`, at]));
  const prefixes = Array.from({ length: rules }, (_, at) => `/service-${at}/`);
  return [
    {
      name: `calibration: cut the query off and look into a Map of ${rules}`,
      run: (turn) => {
        const path = paths[turn & 255] ?? "";
        return known.get(path.slice(0, path.indexOf("?"))) ?? -1;
      },
    },
    {
      name: `one prefix after the other, ${rules} of them`,
      run: (turn) => {
        const path = paths[turn & 255] ?? "";
        return prefixes.findIndex((prefix) => path.startsWith(prefix));
      },
    },
  ];
};

/** Measures all tables. */
export const measureMatchCosts = (effort: WorkEffort): MatchCosts => {
  const calibration = calibrationWorks(1_000);
  const named = Object.entries(kinds);
  const works = named.flatMap(([name, kind]) => tableSizes.map((rules) => matcherWork(name, kind, rules)));
  const costs = takeTurns([...calibration, ...works], effort);
  const found = costs.slice(calibration.length);
  return {
    effort,
    calibration: costs.slice(0, calibration.length),
    rows: named.map(([name], row) => ({
      name,
      costs: found.slice(row * tableSizes.length, (row + 1) * tableSizes.length),
    })),
  };
};

/** The table for people. */
export const printMatchCosts = ({ effort, calibration, rows }: MatchCosts): string => {
  const width = Math.max(...[...calibration, ...rows].map(({ name }) => name.length));
  const cell = ({ nanos, ratio }: WorkCost): string =>
    `${nanos.toFixed(0).padStart(7)} (${ratio.toFixed(1).padStart(5)})`;
  const slowest = (row: MatchRow): number => row.costs.at(-1)?.nanos ?? Number.NaN;
  return [
    `ns per match by the number of rules, and how many times the calibration; median of ${effort.rounds} rounds of ${effort.runs}`,
    "",
    ...calibration.map((cost) => `${cost.name.padEnd(width)}  ${cell(cost)}`),
    "",
    `${"rules".padEnd(width)}  ${tableSizes.map((size) => String(size).padStart(15)).join("")}`,
    ...rows.map(
      (row) =>
        `${row.name.padEnd(width)}  ${row.costs.map((cost) => cell(cost).padStart(15)).join("")}  ${slowest(row) <= MATCH_TARGET_NANOS ? "met" : "MISSED"}`,
    ),
    "",
  ].join("\n");
};
