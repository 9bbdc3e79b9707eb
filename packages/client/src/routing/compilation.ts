import type { OutboundSnapshot, ServiceKey, ServiceSnapshot } from "@tulle/policy";
import type { CompiledService } from "../compile.ts";

/**
 * Rules, those that services have by default included, that are compiled before the event loop gets its turn: some
 * milliseconds, and all at once where little has changed.
 */
export const RULES_PER_SLICE = 100;

/** The services of one snapshot, as far as they are compiled. */
export class Compilation {
  readonly snapshot: OutboundSnapshot;
  readonly services: Map<ServiceKey, CompiledService> = new Map();
  readonly #left: Iterator<ServiceSnapshot>;
  readonly #known: (service: ServiceSnapshot) => CompiledService | undefined;
  readonly #compile: (service: ServiceSnapshot) => CompiledService;

  /**
   * @param known what was compiled before and still holds
   * @param compile may throw, and {@link advance} with it
   */
  constructor(
    snapshot: OutboundSnapshot,
    known: (service: ServiceSnapshot) => CompiledService | undefined,
    compile: (service: ServiceSnapshot) => CompiledService,
  ) {
    this.snapshot = snapshot;
    this.#left = snapshot.services.values();
    this.#known = known;
    this.#compile = compile;
  }

  /** Compiles one slice. A service is never cut in two. @returns whether all is done */
  advance(): boolean {
    for (let rules = 0; rules < RULES_PER_SLICE; ) {
      const { done, value } = this.#left.next();
      if (done === true) return true;
      const known = this.#known(value);
      if (known === undefined) rules += 1 + value.routes.reduce((sum, route) => sum + route.rules.length, 0);
      this.services.set(value.key, known ?? this.#compile(value));
    }
    return false;
  }
}
