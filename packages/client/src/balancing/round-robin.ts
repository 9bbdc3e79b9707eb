import type { Random } from "@tulle/time";
import type { Balanced, CandidateFigures, Outcome, Picker } from "./picker.ts";
import { withoutTried } from "./tried.ts";

/** One after the other, from a place that chance chose, so that clients that start together do not call in step. */
export class RoundRobin implements Picker {
  readonly name = "round-robin";
  #next: number;

  constructor(random: Random) {
    this.#next = Math.floor(random() * 2 ** 31);
  }

  pick<C extends Balanced>(all: readonly C[], tried: ReadonlySet<string> | undefined, _nowMs: number): C | undefined {
    const candidates = withoutTried(all, tried);
    if (candidates.length === 0) return undefined;
    const place = this.#next % candidates.length;
    this.#next = (this.#next + 1) % Number.MAX_SAFE_INTEGER;
    return candidates[place];
  }

  start(candidate: Balanced, _nowMs: number): void {
    candidate.figures.inFlight++;
  }

  end({ figures }: Balanced, nowMs: number, outcome: Outcome): void {
    figures.inFlight--;
    figures.answered++;
    if (outcome.failed) figures.failed++;
    // Not compared, but shown, and at hand when the policy changes to a balancer that compares.
    figures.rtt.costMs = outcome.rttMs;
    figures.rtt.stampMs = nowMs;
    figures.measured = true;
  }

  explain(candidates: readonly Balanced[], _nowMs: number): readonly CandidateFigures[] {
    return candidates.map(({ endpoint, figures }) => ({
      endpoint: endpoint.id,
      inFlight: figures.inFlight,
      answered: figures.answered,
      failed: figures.failed,
      rttMs: figures.measured ? figures.rtt.costMs : undefined,
      load: 1,
    }));
  }
}
