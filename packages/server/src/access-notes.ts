import type { Attributes, Meter } from "@opentelemetry/api";
import type { DryRunFinding, FittingRule } from "@tulle/policy";
import type { Clock } from "@tulle/time";
import type { ServerCounters } from "./counters.ts";
import { followMeter } from "./follow-meter.ts";
import type { Visit } from "./gate.ts";

/** A call about which policies in dry-run would have changed something. */
export interface AccessSample extends DryRunFinding {
  /** Milliseconds since 1970. */
  readonly atMs: number;
  readonly method: string;
  /** Normalised, without its query. */
  readonly path: string;
  /** The caller's SPIFFE ID; absent for a caller that proved nothing. */
  readonly source?: string;
  /** IP address that the connection came from. */
  readonly address?: string;
}

/** Samples that are kept; later ones take the place of earlier ones. */
export const MOST_SAMPLES = 100;

/** What access policies noted and did not enforce: counts, and samples of the last calls. */
export class AccessNotes {
  readonly #clock: Clock;
  readonly #counters: ServerCounters;
  readonly #samples: AccessSample[] = [];
  #next = 0;
  readonly #instruments = followMeter(accessInstruments);

  constructor(clock: Clock, counters: ServerCounters) {
    this.#clock = clock;
    this.#counters = counters;
  }

  /** Rules of audit policies fitted. */
  audited(rules: readonly FittingRule[]): void {
    for (const { policy, rule } of rules) {
      this.#counters.auditedVisits++;
      this.#instruments().audited.add(1, { "tulle.access.policy": policy, "tulle.access.rule": rule });
    }
  }

  /** Policies in dry-run would have changed something. */
  dryRun(findings: readonly DryRunFinding[], visit: Visit): void {
    for (const finding of findings) {
      this.#counters.dryRunFindings++;
      const attributes: Attributes = { "tulle.access.outcome": finding.outcome };
      if (finding.policy !== undefined) attributes["tulle.access.policy"] = finding.policy;
      if (finding.rule !== undefined) attributes["tulle.access.rule"] = finding.rule;
      this.#instruments().dryRun.add(1, attributes);
      this.#keep({
        ...finding,
        atMs: this.#clock.wallNow(),
        method: visit.method,
        path: visit.path,
        ...(visit.peer?.spiffeId === undefined ? {} : { source: visit.peer.spiffeId }),
        ...(visit.peer?.address === undefined ? {} : { address: visit.peer.address }),
      });
    }
  }

  /** The last calls about which policies in dry-run would have changed something, the newest first. */
  samples(): readonly AccessSample[] {
    const older = this.#samples.slice(this.#next);
    return [...older, ...this.#samples.slice(0, this.#next)].toReversed();
  }

  #keep(sample: AccessSample): void {
    this.#samples[this.#next] = sample;
    this.#next = (this.#next + 1) % MOST_SAMPLES;
  }
}

const accessInstruments = (meter: Meter) => ({
  dryRun: meter.createCounter("tulle.server.access.dry_run", {
    description: "What access policies in dry-run would have changed, by outcome, policy and rule.",
    unit: "{visit}",
  }),
  audited: meter.createCounter("tulle.server.access.audited", {
    description: "Visits that rules of audit policies fitted, by policy and rule.",
    unit: "{visit}",
  }),
});
