import { createHook } from "node:async_hooks";
import { subscribe } from "node:diagnostics_channel";
import { getEventListeners } from "node:events";
import type { Socket } from "node:net";
import { setImmediate as turn, setTimeout as wait } from "node:timers/promises";
import type { OutboundSnapshot, RouteRule } from "@tulle/policy";
import { type Clock, systemClock, Watchable } from "@tulle/time";
import { clientOf, endpointAt, snapshotOf } from "./mesh-of-servers.ts";

/** What is alive in the process at one moment. */
export interface Census {
  /** Also those that are idle, which do not keep the process alive. */
  readonly sockets: number;
  /** Handles and requests that keep the process alive, by type. */
  readonly resources: Readonly<Record<string, number>>;
  /** Timers of the clock that was handed in. */
  readonly clockTimers: number;
  /** Listeners on a signal that many calls share, and on the process. */
  readonly signalListeners: number;
  readonly processListeners: number;
  readonly heapBytes: number;
}

/** What the program tells its parent. */
export interface LeakReport {
  readonly calls: number;
  readonly before: Census;
  /** After half of the calls: V8 has thrown away by then what only the start needed, which would hide as much growth. */
  readonly half: Census;
  readonly after: Census;
  readonly closed: Census;
  readonly counters: Readonly<Record<string, number>>;
  readonly outcomes: Readonly<Record<string, number>>;
  /** As {@link unsettled}, of a time without calls. */
  readonly idle: Readonly<Record<string, number>>;
  /** Made while every promise and timer was watched, and still there after garbage collection, by type. */
  readonly unsettled: Readonly<Record<string, number>>;
  readonly watched: number;
}

const WORKERS = 64;
const match = (name: string) => [{ path: { exact: `/${name}` } }];
const retry = { retries: 2, backoff: { base: "1ms", max: "1ms" } } as const;

const rules = (revision: number): readonly RouteRule[] => [
  { name: "retried", match: match("retried"), retry },
  { name: "hedged", match: match("hedged"), hedge: { delay: "2ms" }, retry },
  {
    name: "faulty",
    match: match("faulty"),
    fault: { delay: { fixed: "1ms", percent: 50 }, abort: { status: 503, percent: 50 } },
  },
  { name: "mirrored", match: match("mirrored"), mirror: [{ service: "shadow" }] },
  { name: "silent", match: match("silent"), attemptTimeout: "10ms", retry: false },
  { name: "failing", match: match("failing"), retry: false },
  // Its name makes each revision a new one, with circuits of its own.
  { name: `rest-${revision}` },
];

const snapshotAt = (ports: readonly number[], revision: number): OutboundSnapshot => {
  const endpoints = ports.map((port) => endpointAt(port));
  const connectionPool = { keepAlive: "500ms" } as const;
  return snapshotOf(
    {
      reviews: {
        endpoints,
        routes: [{ kind: "Route", name: "reviews", services: ["reviews"], rules: rules(revision) }],
        policy: {
          connectionPool,
          circuitBreaker: { scope: "rule", errorPercent: 90, openFor: "50ms" },
          retryBudget: { ratio: 1, minPerSecond: 10_000 },
        },
      },
      shadow: { endpoints, policy: { connectionPool } },
      busy: { endpoints, policy: { connectionPool, adaptiveThrottling: { window: "10s" } } },
    },
    undefined,
    `static.${revision}`,
  );
};

class CountingClock implements Clock {
  outstanding = 0;
  now = () => systemClock.now();
  wallNow = () => systemClock.wallNow();

  after(delayMs: number, fire: () => void) {
    this.outstanding++;
    let over = false;
    const end = (): void => {
      if (!over) this.outstanding--;
      over = true;
    };
    const timer = systemClock.after(delayMs, () => {
      end();
      fire();
    });
    return {
      cancel: () => {
        end();
        timer.cancel();
      },
    };
  }
}

const run = async (ports: readonly number[], calls: number, watched: number): Promise<LeakReport> => {
  const clock = new CountingClock();
  const outbound = new Watchable(snapshotAt(ports, 0));
  const client = clientOf(outbound, { clock });
  const shared = new AbortController();
  const outcomes: Record<string, number> = {};
  let revision = 0;

  const count = (outcome: string): void => {
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  };
  const get = async (url: string, options: Parameters<typeof client.request>[1] = {}): Promise<void> => {
    const { statusCode, body } = await client.request(url, options);
    await body.dump();
    count(String(statusCode));
  };
  const giveUp = async (): Promise<void> => {
    const controller = new AbortController();
    const call = get("http://reviews/given-up", { signal: controller.signal });
    setTimeout(() => controller.abort(new Error("ABORTED")), 1);
    await call;
  };
  const fetched = async (): Promise<void> => {
    const response = await client.fetch("http://reviews/", { signal: shared.signal });
    await response.text();
    count(`fetch ${response.status}`);
  };
  const make = (call: number): Promise<void> => {
    // Of a thousand calls so many take each other way. All in all they cost about as much as the plain ones.
    const share = call % 1_000;
    if (share < 20) return get("http://reviews/retried");
    if (share < 25) return get("http://reviews/hedged");
    if (share < 40) return get("http://reviews/faulty");
    if (share < 60) return get("http://reviews/mirrored");
    if (share < 62) return giveUp();
    if (share < 63) return get("http://reviews/silent");
    if (share < 80) return get("http://reviews/failing");
    if (share < 100) return get("http://busy/busy", { mesh: { retry: false } });
    if (share < 120) return get("http://reviews/", { method: "POST", body: "a body" });
    if (share < 140) return fetched();
    return get("http://reviews/", share < 500 ? { signal: shared.signal } : {});
  };
  const load = async (total: number): Promise<void> => {
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < total) {
        const call = next++;
        // Policies change while calls are under way.
        if (call % 5_000 === 4_999) outbound.set(snapshotAt(ports, ++revision));
        try {
          await make(call);
        } catch (error) {
          const { code, message } = error as { code?: string; message: string };
          count(typeof code === "string" ? code : message);
        }
      }
    };
    await Promise.all(Array.from({ length: WORKERS }, worker));
  };

  /** Until idle sockets are closed and copies have ended, and garbage is gone. */
  const settle = async (): Promise<void> => {
    for (let turns = 0; turns < 200 && sockets.size > 0; turns++) await wait(100);
    for (let turns = 0; turns < 4; turns++) {
      globalThis.gc?.();
      await turn();
    }
  };
  const census = async (): Promise<Census> => {
    await settle();
    return {
      sockets: sockets.size,
      resources: resources(),
      clockTimers: clock.outstanding,
      signalListeners: getEventListeners(shared.signal, "abort").length,
      processListeners: process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0),
      heapBytes: process.memoryUsage().heapUsed,
    };
  };

  // What is made once is made here: code, pools, circuits, the largest size of every queue.
  await load(Math.min(calls, 50_000));
  const before = await census();
  await load(calls / 2);
  const half = await census();
  await load(calls / 2);
  const after = await census();
  // What the watching itself leaves is known by watching nothing.
  const idle = await watch(() => load(0), settle);
  const unsettled = await watch(() => load(watched), settle);
  await client.close();
  const closed = await census();
  return {
    calls,
    before,
    half,
    after,
    closed,
    counters: client.counters(),
    outcomes,
    idle,
    unsettled,
    watched,
  };
};

const resources = (): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const type of process.getActiveResourcesInfo()) counts[type] = (counts[type] ?? 0) + 1;
  return counts;
};

const sockets = new Set<Socket>();
subscribe("net.client.socket", (message) => {
  // What the channel's documentation says it carries.
  const { socket } = message as { socket: Socket };
  sockets.add(socket);
  socket.once("close", () => sockets.delete(socket));
});

/** Watching every promise costs too much for all calls: those of a part are, timers among them. */
const watch = async (load: () => Promise<void>, settle: () => Promise<void>): Promise<Record<string, number>> => {
  const alive = new Map<number, string>();
  const hook = createHook({
    init: (id, type) => {
      if (type === "PROMISE" || type === "Timeout") alive.set(id, type);
    },
    promiseResolve: (id) => {
      alive.delete(id);
    },
    destroy: (id) => {
      alive.delete(id);
    },
  });
  hook.enable();
  await load();
  await settle();
  await settle();
  const counts: Record<string, number> = {};
  for (const type of alive.values()) counts[type] = (counts[type] ?? 0) + 1;
  hook.disable();
  return counts;
};

// A listener that stays keeps the process alive while calls wait for nothing but a timer of their own.
process.on("message", (order: { ports: readonly number[]; calls: number; watched: number }) => {
  void run(order.ports, order.calls, order.watched).then((report) => {
    process.send?.(report, () => process.disconnect());
  });
});
