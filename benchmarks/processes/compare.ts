import { seededRandom } from "@tulle/testing";
import type { Contender } from "./contenders.ts";
import { type Fleet, SERVERS } from "./fleet.ts";
import { type Measured, openLoop } from "./open-loop.ts";

/** What goes wrong with one of the servers when the warm-up is over. */
export interface Scenario {
  readonly name: "slow" | "failing" | "paused";
  readonly title: string;
  readonly begin: (fleet: Fleet) => void;
  readonly end: (fleet: Fleet) => void;
  /** How much of the measured time it lasts. */
  readonly lasts: number;
}

/** What is compared. */
export const scenarios: readonly Scenario[] = [
  {
    name: "slow",
    title: "One of five servers is ten times slower",
    begin: (fleet) => fleet.trouble("slow"),
    end: (fleet) => fleet.trouble("none"),
    lasts: 1,
  },
  {
    name: "failing",
    title: "One of five servers answers 503 at once",
    begin: (fleet) => fleet.trouble("failing"),
    end: (fleet) => fleet.trouble("none"),
    lasts: 1,
  },
  {
    name: "paused",
    title: "The process of one of five servers is stopped for half of the time",
    begin: (fleet) => fleet.pause(),
    end: (fleet) => fleet.resume(),
    lasts: 0.5,
  },
];

/** How long and how hard. */
export interface Effort {
  readonly rate: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
  /** A call that takes longer has failed, whoever makes it. */
  readonly limitMs: number;
}

/** What one contender made of one scenario. */
export interface Comparison extends Measured {
  /** Share of all requests that reached servers, retries included, that the one in trouble got. */
  readonly troubledShare: number;
}

/** The share of a server to which nothing is wrong. */
export const FAIR_SHARE = 1 / SERVERS;

/** Lets a contender make its calls while something goes wrong. */
export const measure = async (
  fleet: Fleet,
  contender: Contender,
  scenario: Scenario,
  { rate, warmUpSeconds, seconds, limitMs }: Effort,
): Promise<Comparison> => {
  const opened = await contender.open(fleet);
  try {
    const random = seededRandom(1);
    await openLoop(opened.call, { rate, seconds: warmUpSeconds, limitMs, random });
    await fleet.count();
    scenario.begin(fleet);
    const over = setTimeout(() => scenario.end(fleet), seconds * 1_000 * scenario.lasts);
    const measured = await openLoop(opened.call, { rate, seconds, limitMs, random });
    clearTimeout(over);
    scenario.end(fleet);
    const requests = await fleet.count();
    const all = requests.reduce((sum, each) => sum + each, 0);
    return { ...measured, troubledShare: (requests[0] ?? 0) / all };
  } finally {
    await opened[Symbol.asyncDispose]();
  }
};
