import { AsyncLocalStorage } from "node:async_hooks";
import type { Context } from "@opentelemetry/api";

/** What an open visit hands down to the calls made inside it. */
export interface Inheritance {
  /** Clock milliseconds by which the visit's caller wants its answer. */
  readonly deadlineMs: number | undefined;
  /** The OpenTelemetry context of the visit's span. */
  readonly context: Context | undefined;
  /** Whether the visit is itself a retry or a hedge of a verified peer. */
  readonly isRetry?: boolean;
  /** Hears that a call made in it was retried in vain. */
  noteRetriedInVain?(): void;
}

/** The part of a visit that is inherited. */
interface OpenVisit extends Inheritance {
  readonly open: boolean;
}

/**
 * Joins the server's side to the client's: neither imports the other. A call made inside a visit inherits its deadline and
 * its trace, but only while the visit is open: a timer that was made inside a visit and fires after its end must not find a
 * dead deadline.
 */
export class VisitContext<Visit extends OpenVisit = OpenVisit> {
  readonly #visits = new AsyncLocalStorage<Visit>();

  /** Runs a handler inside its visit. */
  enter<T>(visit: Visit, run: () => T): T {
    return this.#visits.run(visit, run);
  }

  /** What the calling code inherits: `undefined` outside a visit and after its end. */
  inherited(): Inheritance | undefined {
    return this.current();
  }

  /** The visit that the calling code serves: `undefined` outside a visit and after its end. */
  current(): Visit | undefined {
    const visit = this.#visits.getStore();
    return visit?.open === true ? visit : undefined;
  }
}
