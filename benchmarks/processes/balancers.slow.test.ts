import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Comparison, FAIR_SHARE, measure, type Scenario, scenarios } from "./compare.ts";
import { balancedPool, type Contender, haproxy, ours } from "./contenders.ts";
import { type Fleet, startFleet } from "./fleet.ts";
import { haproxyVersion } from "./haproxy.ts";

// A short form of `npm run compare:balancers`: what must hold on any machine, however busy it is.
const effort = { rate: 60, warmUpSeconds: 1, seconds: 3, limitMs: 15_000 };

const contenderNamed = (name: string): Contender => {
  const found = ours.find((each) => each.name === name);
  if (found === undefined) throw new RangeError(`no balancer is called ${name}`);
  return found;
};

const scenarioNamed = (name: Scenario["name"]): Scenario => {
  const found = scenarios.find((each) => each.name === name);
  if (found === undefined) throw new RangeError(`no scenario is called ${name}`);
  return found;
};

let fleet: Fleet;

beforeAll(async () => {
  fleet = await startFleet();
});

afterAll(() => fleet[Symbol.asyncDispose]());

const run = (contender: Contender, name: Scenario["name"], seconds: number = effort.seconds): Promise<Comparison> =>
  measure(fleet, contender, scenarioNamed(name), { ...effort, seconds });

describe("over five processes and mTLS", () => {
  test.each(["peak-ewma", "least-request", "prequal"])(
    "with %s a server that is ten times slower gets less than its share, and no call fails",
    async (name) => {
      const { failures, troubledShare } = await run(contenderNamed(name), "slow");
      expect(failures).toEqual({});
      expect(troubledShare).toBeGreaterThan(0);
      expect(troubledShare).toBeLessThan(FAIR_SHARE);
    },
  );

  test.each(["peak-ewma", "least-request", "prequal"])(
    "with %s a server that fails at once attracts no more than its share, and no GET fails",
    async (name) => {
      const { failures, troubledShare } = await run(contenderNamed(name), "failing");
      expect(failures).toEqual({});
      expect(troubledShare).toBeGreaterThan(0);
      expect(troubledShare).toBeLessThan(FAIR_SHARE);
    },
  );

  test.each(["peak-ewma", "round-robin"])("with %s no GET fails while a server's process is stopped", async (name) => {
    const { failures, calls } = await run(contenderNamed(name), "paused", 8);
    expect(calls).toBeGreaterThan(0);
    expect(failures).toEqual({});
  });

  test("undici.BalancedPool hands on to callers what a failing server answers", async () => {
    expect((await run(balancedPool, "failing")).errors).toBeGreaterThan(0);
  });

  // A second opinion on the servers and the driver: a proxy that everybody knows meets the same trouble.
  test.skipIf(haproxyVersion() === undefined)("HAProxy's leastconn also gives the slow server less", async () => {
    const { failures, troubledShare } = await run(haproxy("leastconn"), "slow");
    expect(failures).toEqual({});
    expect(troubledShare).toBeGreaterThan(0);
    expect(troubledShare).toBeLessThan(FAIR_SHARE);
  });
});
