/** Steady traffic of strangers at the public page, whatever the page's speed. */
export interface Load {
  /** Pages asked for and answered, and how many of them failed. */
  readonly requests: number;
  readonly failures: number;
  /** Visits that were not made, because too many were under way. */
  readonly skipped: number;
  /** Why the last one failed. */
  readonly lastFailure: string | undefined;
  /** Makes no more visits and waits for those under way. */
  stop(): Promise<void>;
}

/** How the traffic looks. */
export interface LoadOptions {
  readonly pageUrl: string;
  /** Visits per second. */
  readonly rate: number;
}

const MAX_IN_FLIGHT = 256;
const PATIENCE_MS = 10_000;
const TICK_MS = 10;
/**
 * One visit in so many is signed in as jason, and one asks for reviews v3. Few, so that the shares of an edge stay near
 * those of the split, and enough that both routes are seen.
 */
const SPECIAL_EVERY = 200;

/** Starts the traffic. */
export const startLoad = ({ pageUrl, rate }: LoadOptions): Load => {
  const startedAt = performance.now();
  const underWay = new Set<Promise<void>>();
  const counters = { requests: 0, failures: 0, skipped: 0, lastFailure: undefined as string | undefined };
  let due = 0;

  const visit = async (url: string): Promise<void> => {
    let failure: string | undefined;
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(PATIENCE_MS) });
      await response.arrayBuffer();
      if (!response.ok) failure = `${url} answered ${response.status}`;
    } catch (error) {
      failure = `${url}: ${describe(error)}`;
    }
    counters.requests += 1;
    if (failure === undefined) return;
    counters.failures += 1;
    counters.lastFailure = failure;
  };

  const timer = setInterval(() => {
    const wanted = Math.floor(((performance.now() - startedAt) * rate) / 1_000);
    for (; due < wanted; due += 1) {
      if (underWay.size >= MAX_IN_FLIGHT) {
        counters.skipped += 1;
        continue;
      }
      const visiting: Promise<void> = visit(pageUrl + queryOf(due)).finally(() => underWay.delete(visiting));
      underWay.add(visiting);
    }
  }, TICK_MS);

  return {
    get requests() {
      return counters.requests;
    },
    get failures() {
      return counters.failures;
    },
    get skipped() {
      return counters.skipped;
    },
    get lastFailure() {
      return counters.lastFailure;
    },
    stop: async () => {
      clearInterval(timer);
      // Each visit ends by itself when its patience does.
      await Promise.allSettled([...underWay]);
    },
  };
};

const queryOf = (visit: number): string => {
  if (visit % SPECIAL_EVERY === SPECIAL_EVERY / 4) return "?u=jason";
  if (visit % SPECIAL_EVERY === (3 * SPECIAL_EVERY) / 4) return "?reviews=v3";
  return "";
};

const describe = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message;
};
