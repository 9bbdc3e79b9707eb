// How long the event loop stands still while a member takes new policies of a thousand services.
import { checkOutbound, createClient } from "@tulle/client";
import {
  buildNameIndex,
  DEFAULT_MESH,
  type OutboundSnapshot,
  type RoutePolicy,
  type RouteRule,
  type ServiceKey,
  type ServiceSnapshot,
} from "@tulle/policy";
import { constant, systemClock, Watchable } from "@tulle/time";

/** How much is compiled. */
export interface CompileEffort {
  readonly services: number;
  readonly rules: number;
}

/** What one run found out, milliseconds. */
export interface CompileCosts extends CompileEffort {
  /** The check before a member acknowledges a revision of which it knows nothing. */
  readonly check: number;
  readonly steps: readonly CompileStep[];
}

/** One change of policy, from its arrival to its being in force. */
export interface CompileStep {
  readonly name: string;
  /** The longest time for which nothing else could run, in CPU time of the thread: what other processes do to it is not its. */
  readonly longestBlock: number;
  /** The same by the clock on the wall, with what a busy machine adds. */
  readonly longestWait: number;
  readonly total: number;
  readonly slices: number;
}

/** Longest block that a change may cause, milliseconds. */
export const BLOCK_TARGET_MS = 50;

const snapshotOf = ({ services, rules }: CompileEffort, revision: string): OutboundSnapshot => {
  const entries = Array.from({ length: services }, (_, at): ServiceSnapshot => {
    const name = `service-${at}`;
    const route: RoutePolicy = {
      kind: "Route",
      name,
      services: [name],
      rules: Array.from(
        { length: rules },
        (_, rule): RouteRule => ({
          match: [
            {
              path: { prefix: `/items-${rule}` },
              headers: { "end-user": { regex: `user-${rule}-[0-9]+`, linear: true } },
            },
          ],
          split: [
            { subset: "v1", weight: 90 },
            { subset: "v2", weight: 10 },
          ],
          timeout: "2s",
        }),
      ),
    };
    return {
      key: `default/${name}`,
      policy: { kind: "Service", name, subsets: { v1: { version: "v1" }, v2: { version: "v2" } } },
      routes: [route],
      endpoints: [],
    };
  });
  return {
    revision,
    mesh: { ...DEFAULT_MESH },
    names: buildNameIndex(entries, "default"),
    services: new Map<ServiceKey, ServiceSnapshot>(entries.map((entry) => [entry.key, entry])),
  };
};

/** Watches how long the loop is busy between two of its turns. */
class LongestBlock {
  readonly longest = { longestBlock: 0, longestWait: 0 };
  #cpuMs = threadMs();
  #wallMs = performance.now();

  end(): void {
    const cpuMs = threadMs();
    const wallMs = performance.now();
    this.longest.longestBlock = Math.max(this.longest.longestBlock, cpuMs - this.#cpuMs);
    this.longest.longestWait = Math.max(this.longest.longestWait, wallMs - this.#wallMs);
    this.#cpuMs = cpuMs;
    this.#wallMs = wallMs;
  }
}

const threadMs = (): number => {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
};

/** Takes a snapshot, its successor with all policies new, and one in which only the mesh's defaults changed. */
export const measureCompileCosts = async (effort: CompileEffort): Promise<CompileCosts> => {
  const first = snapshotOf(effort, "e.1");
  const beganMs = threadMs();
  const problem = checkOutbound(first);
  const check = threadMs() - beganMs;
  if (problem !== undefined) throw new Error(problem);
  const outbound = new Watchable<OutboundSnapshot>({ ...first, revision: "e.0", services: new Map() });
  const client = createClient({
    outbound,
    credentials: constant(undefined),
    clock: systemClock,
    random: Math.random,
    namespace: "default",
    service: "bench",
    labels: {},
    discover: () => Promise.reject(new Error("nothing is discovered here")),
    inherit: () => undefined,
    onProblem: (_revision, found) => {
      throw found;
    },
  });
  const last = `http://service-${effort.services - 1}/`;
  const take = async (name: string, snapshot: OutboundSnapshot): Promise<CompileStep> => {
    const startMs = performance.now();
    const block = new LongestBlock();
    outbound.set(snapshot);
    let slices = 1;
    for (; client.explain(last).revision !== snapshot.revision; slices++) {
      block.end();
      await new Promise((resolve) => setImmediate(resolve));
    }
    block.end();
    return { name, ...block.longest, total: performance.now() - startMs, slices };
  };
  const next = snapshotOf(effort, "e.2");
  const mesh = { ...DEFAULT_MESH };
  const steps = [
    await take("the first snapshot, checked before", first),
    await take("all policies new", next),
    await take("the mesh's defaults new", { ...next, revision: "e.3", mesh }),
    await take("nothing new but the revision", { ...next, revision: "e.4", mesh }),
  ];
  await client.close();
  return { ...effort, check, steps };
};

/** The table for people. */
export const printCompileCosts = ({ services, rules, check, steps }: CompileCosts): string => {
  const width = Math.max(...steps.map(({ name }) => name.length));
  return [
    `ms to take the policies of ${services} services with ${rules} rules each`,
    "",
    `${"".padEnd(width)}  longest block  on the wall    total  slices`,
    ...steps.map(
      ({ name, longestBlock, longestWait, total, slices }) =>
        `${name.padEnd(width)}  ${longestBlock.toFixed(1).padStart(13)}  ${longestWait.toFixed(1).padStart(11)}  ${total.toFixed(1).padStart(7)}  ${String(slices).padStart(6)}  (at most ${BLOCK_TARGET_MS}: ${longestBlock <= BLOCK_TARGET_MS ? "met" : "MISSED"})`,
    ),
    "",
    `the check before a revision of which nothing is known is acknowledged: ${check.toFixed(1)} ms in one go`,
    "",
  ].join("\n");
};
