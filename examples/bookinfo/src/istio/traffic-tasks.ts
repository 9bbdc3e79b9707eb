import { setTimeout as sleep } from "node:timers/promises";
import { countEach, followWeights, type Observation, sharesText } from "./observation.ts";
import type { Stage, Task } from "./task.ts";
import { errorIn, type Visit, versionIn, visit, visitOften } from "./visits.ts";

const REVIEWS = "/api/v1/products/0/reviews";
const AS_JASON = "?u=jason";

const FEW = 50;
/** Enough for shares to be near their weights. */
const MANY = 400;

/** The tasks about where calls go and what becomes of them. */
export const trafficTasks: readonly Task[] = [
  {
    title: "all reviews from v1",
    files: ["tasks/all-v1.yaml"],
    observe: async (stage) => [await shares(stage, FEW, { v1: 1 })],
  },
  {
    title: "80 % of the reviews from v1, 20 % from v2",
    files: ["tasks/split-80-20.yaml"],
    observe: async (stage) => [await shares(stage, MANY, { v1: 80, v2: 20 })],
  },
  {
    title: "one half from v1, the other from v2",
    files: ["tasks/split-50-50.yaml"],
    observe: async (stage) => [await shares(stage, MANY, { v1: 50, v2: 50 })],
  },
  {
    title: "jason to v2, everybody else to v1",
    files: ["tasks/jason-v2.yaml"],
    observe: async (stage) => [await shares(stage, FEW, { v2: 1 }, AS_JASON), await shares(stage, FEW, { v1: 1 })],
  },
  {
    title: "ratings keep jason waiting for 7 s",
    files: ["tasks/jason-delay.yaml"],
    observe: async ({ at }) => {
      const [jason, others] = await Promise.all([visit(at(REVIEWS + AS_JASON)), visitOften(at(REVIEWS), FEW)]);
      const slowest = Math.max(...others.map(({ ms }) => ms));
      return [
        {
          promise: "jason waits for 7 s, and gets his reviews",
          seen: `${seconds(jason.ms)}, status ${jason.status}`,
          kept: jason.status === 200 && jason.ms >= DELAY_MS,
        },
        {
          promise: "nobody else does",
          seen: `${others.length} visits, the slowest ${seconds(slowest)}`,
          kept: others.every(({ status }) => status === 200) && slowest < DELAY_MS,
        },
      ];
    },
  },
  {
    title: "ratings answer jason with 500",
    files: ["tasks/jason-abort.yaml"],
    observe: async ({ at }) => {
      const [jason, others] = await Promise.all([
        visitOften(at(REVIEWS + AS_JASON), FEW),
        visitOften(at(REVIEWS), FEW),
      ]);
      const of = (visits: readonly Visit[]) => countEach(visits.map(toldOf));
      return [
        {
          promise: "every visit of jason hears that ratings answered 500",
          seen: sharesText(of(jason)),
          kept: jason.every((each) => errorIn(each).includes("ratings answered 500")),
        },
        {
          promise: "nobody else's",
          seen: sharesText(of(others)),
          kept: others.every(({ status }) => status === 200),
        },
      ];
    },
  },
  {
    title: "v1 answers, v2 gets a copy of every call",
    files: ["tasks/mirror.yaml"],
    observe: async (stage) => {
      const before = await settledVisits(stage);
      const answered = await shares(stage, FEW, { v1: 1 });
      const copies = (await settledVisits(stage)) - before;
      return [
        answered,
        { promise: "a copy of each arrives at v2", seen: `${copies} copies of ${FEW} calls`, kept: copies === FEW },
      ];
    },
  },
  {
    title: "one connection to details, and one call may wait for it",
    files: ["tasks/circuit.yaml"],
    observe: async ({ at }) => {
      const calls = await visitOften(at("/api/v1/products/0"), FEW, FEW);
      const told = countEach(calls.map(toldOf));
      const refused = calls.filter(({ status }) => status === 503);
      return [
        {
          promise: `of ${FEW} calls at once some are served, and the rest is refused with 503`,
          seen: sharesText(told),
          kept: refused.length > 0 && refused.length < FEW && refused.every((each) => errorIn(each) !== ""),
        },
        await oneAfterTheOther(at("/api/v1/products/0")),
      ];
    },
  },
];

const DELAY_MS = 7_000;

const oneAfterTheOther = async (url: URL): Promise<Observation> => {
  const calls = await visitOften(url, 20, 1);
  return {
    promise: "calls one after the other are all served",
    seen: sharesText(countEach(calls.map(toldOf))),
    kept: calls.every(({ status }) => status === 200),
  };
};

/** Which versions answered, beside the weights that were promised. */
const shares = async (
  { at }: Stage,
  visits: number,
  weights: Readonly<Record<string, number>>,
  query = "",
): Promise<Observation> => {
  const counts = countEach((await visitOften(at(REVIEWS + query), visits)).map(versionIn));
  const who = query === "" ? "reviews" : "jason's reviews";
  const versions = Object.entries(weights).map(([version, weight]) =>
    Object.keys(weights).length === 1 ? `${version} alone` : `${weight} % ${version}`,
  );
  return {
    promise: `${who}: ${versions.join(", ")}`,
    seen: sharesText(counts),
    kept: followWeights(counts, weights),
  };
};

const LONGEST_REASON = 80;

/** `200`, or the status with the mesh's code or the reason. */
const toldOf = (each: Visit): string => {
  const reason = errorIn(each);
  const short = /^[A-Z_]+(?=:)/.exec(reason)?.[0] ?? reason.slice(0, LONGEST_REASON);
  return short === "" ? String(each.status) : `${each.status} ${short}`;
};

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(2)} s`;

/** Members export once a second. */
const EXPORT_MS = 1_200;
const MOST_EXPORTS = 8;

/** Visits that reviews v2 has had, once two exports in a row tell the same. */
const settledVisits = async ({ ledger }: Stage): Promise<number> => {
  let last = ledger.visitsTo("reviews-v2");
  for (let exports = 0; exports < MOST_EXPORTS; exports += 1) {
    await sleep(EXPORT_MS);
    const now = ledger.visitsTo("reviews-v2");
    if (now === last && exports > 0) return now;
    last = now;
  }
  return last;
};
