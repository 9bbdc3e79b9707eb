// What it costs to decide whether a call may pass, by the number of rules and by what they look at.
import { type AccessPolicy, type AccessQuestion, type AccessRule, compileAccess } from "@tulle/policy";
import { tableSizes } from "./match-cost.ts";
import { takeTurns, type Work, type WorkCost, type WorkEffort } from "./take-turns.ts";

/** What one run found out. */
export interface AccessCosts {
  readonly effort: WorkEffort;
  /** A hash map from the principal, and a scan over principals: what the index lies between. */
  readonly calibration: readonly WorkCost[];
  readonly rows: readonly AccessRow[];
}

/** One kind of rule over all numbers of rules. */
export interface AccessRow {
  readonly name: string;
  /** Whether {@link ACCESS_TARGET_NANOS} is aimed at: not for rules of which every one must be looked at. */
  readonly aimed: boolean;
  /** In the order of `tableSizes`. */
  readonly costs: readonly WorkCost[];
}

/** Nanoseconds that a decision over 1,000 rules may take at most. */
export const ACCESS_TARGET_NANOS = 2_000;

interface Kind {
  readonly rule: (at: number) => AccessRule;
  readonly action?: AccessPolicy["action"];
  readonly aimed?: false;
}

const principalOf = (at: number): string => `cluster.local/ns/ns-${at % 50}/sa/caller-${at}`;

const kinds: Readonly<Record<string, Kind>> = {
  "allow by principal": { rule: (at) => ({ from: [{ principals: [principalOf(at)] }] }) },
  "allow by principal, method and path": {
    rule: (at) => ({
      from: [{ principals: [principalOf(at)] }],
      to: [{ methods: ["GET"], paths: [`/service-${at}/*`] }],
    }),
  },
  "allow by the beginning of a principal": {
    rule: (at) => ({ from: [{ principals: [`${principalOf(at)}*`] }] }),
  },
  "allow by service account": { rule: (at) => ({ from: [{ serviceAccounts: [`ns-${at % 50}/caller-${at}`] }] }) },
  "allow by header alone": {
    rule: (at) => ({ when: [{ key: "request.headers[tenant]", values: [`t${at}`] }] }),
  },
  "allow by path": { rule: (at) => ({ to: [{ paths: [`/service-${at}/items`] }] }) },
  "allow by template": { rule: (at) => ({ to: [{ paths: [`/service-${at}/{*}`] }] }) },
  "allow by namespace and header": {
    rule: (at) => ({
      from: [{ namespaces: [`ns-${at % 50}`] }],
      when: [{ key: "request.headers[tenant]", values: [`t${at}`] }],
    }),
  },
  "deny by path, none of which fits": {
    action: "deny",
    rule: (at) => ({ to: [{ paths: [`/hidden-${at}*`] }] }),
  },
  "deny by principal and path, none of which fits": {
    action: "deny",
    rule: (at) => ({ from: [{ principals: [`${principalOf(at)}x`] }], to: [{ paths: ["/service-*"] }] }),
  },
  "allow by the end of a path (each is looked at)": {
    rule: (at) => ({ to: [{ paths: [`*-${at}/items`] }] }),
    aimed: false,
  },
  "allow by the end of a header (each is looked at)": {
    rule: (at) => ({ when: [{ key: "request.headers[tenant]", values: [`*t${at}`] }] }),
    aimed: false,
  },
};

const questionsFor = (rules: number): readonly AccessQuestion[] =>
  Array.from({ length: 256 }, (_, at) => {
    const place = Math.floor((at * rules) / 256);
    const headers: Readonly<Record<string, string>> = { tenant: `t${place}` };
    return {
      principal: principalOf(place),
      trustDomain: "cluster.local",
      namespace: `ns-${place % 50}`,
      serviceAccount: `caller-${place}`,
      method: "GET",
      path: `/service-${place}/items`,
      header: (name: string) => headers[name],
    };
  });

const decisionWork = (name: string, { rule, action = "allow" }: Kind, rules: number): Work => {
  const { decide } = compileAccess(
    [{ kind: "Access", name: "a", action, rules: Array.from({ length: rules }, (_, at) => rule(at)) }],
    { trustDomain: "cluster.local" },
  );
  const questions = questionsFor(rules);
  return {
    name,
    run: (turn) => {
      const question = questions[turn & 255];
      return question !== undefined && decide(question).allowed ? 1 : 0;
    },
  };
};

const calibrationWorks = (rules: number): readonly Work[] => {
  const asked = questionsFor(rules).map(({ principal = "" }) => principal);
  const known = new Map(Array.from({ length: rules }, (_, at) => [principalOf(at), at]));
  const list = [...known.keys()];
  return [
    {
      name: `calibration: look into a Map of ${rules} principals`,
      run: (turn) => known.get(asked[turn & 255] ?? "") ?? -1,
    },
    {
      name: `one principal after the other, ${rules} of them`,
      run: (turn) => list.indexOf(asked[turn & 255] ?? ""),
    },
  ];
};

/** Measures all kinds. */
export const measureAccessCosts = (effort: WorkEffort): AccessCosts => {
  const calibration = calibrationWorks(1_000);
  const named = Object.entries(kinds);
  const works = named.flatMap(([name, kind]) => tableSizes.map((rules) => decisionWork(name, kind, rules)));
  const costs = takeTurns([...calibration, ...works], effort);
  const found = costs.slice(calibration.length);
  return {
    effort,
    calibration: costs.slice(0, calibration.length),
    rows: named.map(([name, { aimed = true }], row) => ({
      name,
      aimed,
      costs: found.slice(row * tableSizes.length, (row + 1) * tableSizes.length),
    })),
  };
};

/** The table for people. */
export const printAccessCosts = ({ effort, calibration, rows }: AccessCosts): string => {
  const width = Math.max(...[...calibration, ...rows].map(({ name }) => name.length));
  const cell = ({ nanos, ratio }: WorkCost): string =>
    `${nanos.toFixed(0).padStart(7)} (${ratio.toFixed(1).padStart(5)})`;
  const verdict = ({ aimed, costs }: AccessRow): string =>
    aimed ? ((costs.at(-1)?.nanos ?? Number.NaN) <= ACCESS_TARGET_NANOS ? "met" : "MISSED") : "";
  return [
    `ns per access decision by the number of rules, and how many times the calibration; median of ${effort.rounds} rounds of ${effort.runs}`,
    "",
    ...calibration.map((cost) => `${cost.name.padEnd(width)}  ${cell(cost)}`),
    "",
    `${"rules".padEnd(width)}  ${tableSizes.map((size) => String(size).padStart(15)).join("")}`,
    ...rows.map((row) =>
      `${row.name.padEnd(width)}  ${row.costs.map((cost) => cell(cost).padStart(15)).join("")}  ${verdict(row)}`.trimEnd(),
    ),
    "",
  ].join("\n");
};
