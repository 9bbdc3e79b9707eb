import type { Mesh } from "../../src/mesh.ts";

/** What steady traffic has seen. */
export interface Tally {
  requests: number;
  /** One line for each call that failed. */
  readonly failures: string[];
  /** Answers by `method version`. */
  readonly answers: Map<string, number>;
  readonly pids: Set<number>;
}

/** Traffic that goes on until it is stopped. */
export interface Traffic {
  readonly tally: Tally;
  /** Settles when that many more calls were answered. */
  more(calls: number): Promise<void>;
  /** Ends the traffic, waits for the calls under way, and settles with the tally. */
  stop(): Promise<Tally>;
}

/** How the traffic is made. */
export interface TrafficOptions {
  readonly url: string;
  /** @default ["GET"] */
  readonly methods?: readonly string[];
  /** Calls under way at any time. @default 4 */
  readonly concurrency?: number;
}

/** Keeps a number of calls under way, each next one as soon as one is over, the methods in turn. */
export const steadyTraffic = (mesh: Mesh, { url, methods = ["GET"], concurrency = 4 }: TrafficOptions): Traffic => {
  const tally: Tally = { requests: 0, failures: [], answers: new Map(), pids: new Set() };
  const waiting = new Set<{ readonly at: number; readonly resolve: () => void }>();
  let going = true;
  const call = async (method: string): Promise<void> => {
    try {
      const response = await mesh.fetch(url, { method, ...(method === "POST" ? { body: "a review" } : {}) });
      const body = await response.text();
      if (response.status !== 200) {
        tally.failures.push(`${method} ${response.status} ${body}`);
      } else {
        const { version, pid } = JSON.parse(body) as { version: string; pid: number };
        const key = `${method} ${version}`;
        tally.answers.set(key, (tally.answers.get(key) ?? 0) + 1);
        tally.pids.add(pid);
      }
    } catch (error) {
      tally.failures.push(`${method} ${String(error)} ${String((error as Error).cause ?? "")}`);
    }
    tally.requests += 1;
    for (const each of waiting) {
      if (tally.requests < each.at) continue;
      waiting.delete(each);
      each.resolve();
    }
  };
  const worker = async (first: number): Promise<void> => {
    for (let turn = first; going; turn++) {
      await call(methods[turn % methods.length] ?? "GET");
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  };
  const workers = Array.from({ length: concurrency }, (_, index) => worker(index));
  return {
    tally,
    more: (calls) => new Promise((resolve) => waiting.add({ at: tally.requests + calls, resolve })),
    stop: async () => {
      going = false;
      await Promise.all(workers);
      return tally;
    },
  };
};
