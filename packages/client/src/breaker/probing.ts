import type { Timer } from "@tulle/time";

/** A call that probes a half-open circuit. */
export interface Probe {
  /** Ends it as failed when it takes too long. */
  watchdog: Timer | undefined;
}

/** What a half-open circuit does after a probe. */
export type ProbeVerdict = "close" | "open" | "wait";

/**
 * The probes of one half-open circuit: so many pass that all of their successes together would close it, and no more. One
 * failure opens it again. A probe that learned nothing makes room for the next call.
 */
export class Probing {
  readonly #needed: number;
  readonly #out = new Set<Probe>();
  #successes = 0;

  constructor(needed: number) {
    this.#needed = needed;
  }

  get hasRoom(): boolean {
    return this.#out.size + this.#successes < this.#needed;
  }

  begin(): Probe {
    const probe: Probe = { watchdog: undefined };
    this.#out.add(probe);
    return probe;
  }

  /** Whether the probe's outcome still counts: not after its watchdog, nor after the end of this round. */
  end(probe: Probe, outcome: "success" | "failure" | "neutral"): ProbeVerdict {
    if (!this.#out.delete(probe)) return "wait";
    probe.watchdog?.cancel();
    if (outcome === "failure") return "open";
    if (outcome === "success") this.#successes++;
    return this.#successes === this.#needed ? "close" : "wait";
  }

  /** Ends the round: what is still out no longer counts. */
  close(): void {
    for (const { watchdog } of this.#out) watchdog?.cancel();
    this.#out.clear();
  }
}
