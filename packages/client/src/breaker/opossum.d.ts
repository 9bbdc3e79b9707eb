/** What the circuit uses of opossum 10, which brings no types. */
declare module "opossum" {
  import type { EventEmitter } from "node:events";

  interface Bucket {
    /** Only pushed to by opossum. */
    latencyTimes: { push(latencyMs: number): unknown };
  }

  interface Status {
    /** A copy of the list of live buckets, the present one first. */
    readonly window: readonly Bucket[];
    readonly stats: { readonly fires: number; readonly failures: number };
  }

  interface Options<A extends readonly unknown[]> {
    timeout: false;
    errorThresholdPercentage: number;
    volumeThreshold: number;
    rollingCountTimeout: number;
    rollingCountBuckets: number;
    rollingPercentilesEnabled: false;
    enableSnapshots: false;
    resetTimeout: number;
    errorFilter: (error: unknown, ...args: A) => boolean;
    rotateBucketController: EventEmitter;
    state: { enabled: true; closed: boolean; halfOpen: boolean };
    name: string;
  }

  export default class CircuitBreaker<A extends readonly unknown[], R> {
    constructor(action: (...args: A) => Promise<R>, options: Options<A>);
    fire(...args: A): Promise<R>;
    readonly closed: boolean;
    readonly opened: boolean;
    readonly halfOpen: boolean;
    readonly status: Status;
    on(event: "open" | "close" | "halfOpen", listener: () => void): this;
    open(): void;
    close(): void;
    shutdown(): void;
  }
}
